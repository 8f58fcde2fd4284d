// Single keys. They can be switched off on the help page, and do nothing while something is typed.
import { ask, pause, sort } from "./refresh.js";

let first = "";

function on() {
  try {
    return localStorage.getItem("nsqadmin.keys") !== "0";
  } catch {
    return true;
  }
}

export function keys(main) {
  const line = document.querySelector("#keys-switch");
  if (line) {
    line.hidden = false;
    const box = line.querySelector("input");
    box.checked = on();
    box.addEventListener("change", () => {
      try {
        localStorage.setItem("nsqadmin.keys", box.checked ? "1" : "0");
      } catch {
        // Without storage they stay on.
      }
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return leave(main);
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || !on()) return;
    const done = first === "g" ? go(event.key) : press(event.key, main);
    first = !done && event.key === "g" ? "g" : "";
    if (done) event.preventDefault();
  });
}

function typing(target) {
  return target.isContentEditable || ["SELECT", "TEXTAREA"].includes(target.tagName) || (target.tagName === "INPUT" && target.type !== "checkbox");
}

function leave(main) {
  main.querySelectorAll("tr.here").forEach((row) => row.classList.remove("here"));
  document.activeElement?.blur();
}

function go(key) {
  const link = document.querySelector(`a[data-go="${CSS.escape(key)}"]`);
  link?.click();
  return Boolean(link);
}

function press(key, main) {
  const rows = [...main.querySelectorAll("tbody tr[data-key]")].filter((row) => row.checkVisibility());
  const here = main.querySelector("tr.here");
  switch (key) {
    case "/":
      document.querySelector("#search").focus();
      return true;
    case "?":
      [...document.querySelectorAll("footer a")].find((link) => link.textContent === "Help")?.click();
      return true;
    case "j":
    case "k": {
      const next = rows[rows.indexOf(here) + (key === "j" ? 1 : here ? -1 : rows.length)];
      if (!next) return false;
      here?.classList.remove("here");
      next.classList.add("here");
      next.scrollIntoView({ block: "nearest" });
      return true;
    }
    case "Enter":
      if (!here || (document.activeElement && document.activeElement !== document.body && document.activeElement !== main)) return false;
      here.querySelector("th a:last-of-type")?.click();
      return true;
    case "x": {
      const box = here?.querySelector("input[type=checkbox]");
      box?.click();
      return Boolean(box);
    }
    case "s":
      sort();
      return true;
    case "p":
      if (document.querySelector("#pause").hidden) return false;
      pause();
      return true;
    case ".":
      ask();
      return true;
    default:
      return false;
  }
}
