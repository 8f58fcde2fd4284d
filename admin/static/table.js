// Selection of rows for an action on several: how many, and the range between two with Shift.

let last = null;

export function tables(main) {
  const bar = main.querySelector("[data-bulk]");
  if (!bar) return;
  const boxes = () => [...main.querySelectorAll("input[name=object][form=bulk]")];
  const buttons = [...bar.querySelectorAll("button")];
  const refused = buttons.map((button) => button.disabled);
  const label = bar.querySelector("[data-selected]");
  const show = () => {
    const count = boxes().filter((box) => box.checked).length;
    label.textContent = `${count} selected`;
    buttons.forEach((button, index) => (button.disabled = refused[index] || count === 0));
  };
  main.addEventListener("click", (event) => {
    const box = event.target;
    if (!(box instanceof HTMLInputElement) || box.name !== "object") return;
    const all = boxes();
    if (event.shiftKey && last && all.includes(last)) {
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      for (const other of all.slice(from, to + 1)) other.checked = box.checked;
    }
    last = box;
  });
  main.addEventListener("change", show);
  document.addEventListener("nsqadmin:tick", show);
  show();
}
