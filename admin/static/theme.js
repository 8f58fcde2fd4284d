// Before the first paint, hence no module: the theme that was chosen here.
try {
  const theme = localStorage.getItem("nsqadmin.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme holds.
}
