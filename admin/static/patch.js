// Brings the live parts of a page up to a newer rendering of it, in place, without taking anything from its reader:
// focus, caret, text selection, checked rows, open details and scroll stay, and no row moves from under the pointer.

// What belongs to the reader, and is never written.
const THEIRS = new Set(["open", "checked"]);
// What marks of ours are on an element.
const OURS = new Set(["here", "gone"]);

let moved = 0;

/** Patches every `[data-live]` of `main` from `next`. Returns how many rows would stand elsewhere but were held. */
export function patch(main, next) {
  moved = 0;
  for (const { name, value } of [...next.attributes]) if (name.startsWith("data-")) main.setAttribute(name, value);
  const old = regions(main);
  const fresh = regions(next);
  if (old.length !== fresh.length) {
    // Another kind of page: what it was about came or went. Only a reader who holds nothing gets it.
    if (!holds(main)) main.replaceChildren(...next.childNodes);
    return 0;
  }
  old.forEach((region, index) => children(region, fresh[index]));
  return moved;
}

function regions(main) {
  return [...main.querySelectorAll("[data-live]")].filter((region) => !region.parentElement.closest("[data-live]"));
}

/** Whether focus or a selection of text is in it. */
export function holds(element) {
  const focus = document.activeElement;
  if (focus && focus !== document.body && focus !== element && element.contains(focus)) return true;
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(element, true));
}

function same(old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName && old.dataset?.key === next.dataset?.key;
}

function node(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) return;
  if (old.dataset?.rev && old.dataset.rev === next.dataset.rev) return old.classList.remove("gone");
  if ((old.localName === "td" || old.localName === "th") && holds(old)) return;
  attributes(old, next);
  if (old.localName !== "input" && old.localName !== "select") children(old, next);
}

/** Whether an attribute is the reader's: what is typed or chosen is, what a button or a hidden field carries is not. */
function isTheirs(element, name) {
  if (name === "value") return ["input", "select", "textarea"].includes(element.localName) && element.type !== "hidden";
  return THEIRS.has(name);
}

function attributes(old, next) {
  for (const { name, value } of next.attributes) {
    if (isTheirs(old, name) || old.getAttribute(name) === value) continue;
    if (name === "class") {
      const kept = [...old.classList].filter((word) => OURS.has(word) && word !== "gone");
      old.setAttribute(name, [value, ...kept].join(" "));
    } else old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !isTheirs(old, name) && !(name === "class" && old.classList.contains("here"))) old.removeAttribute(name);
  }
}

function children(old, next) {
  const keyed = next.firstElementChild?.dataset?.key !== undefined || old.firstElementChild?.dataset?.key !== undefined;
  if (keyed && (old.localName === "tbody" || old.localName === "ul")) return rows(old, next);
  const before = [...old.childNodes];
  const after = [...next.childNodes];
  after.forEach((one, index) => {
    const other = before[index];
    if (!other) old.append(one);
    else if (same(other, one)) node(other, one);
    else if (!(other.nodeType === Node.ELEMENT_NODE && holds(other))) other.replaceWith(one);
  });
  for (const other of before.slice(after.length)) if (!(other.nodeType === Node.ELEMENT_NODE && holds(other))) other.remove();
}

/** Whether the reader is at this table, so that no row may move. */
function frozen(table) {
  return table.matches(":hover") || holds(table) || Boolean(table.querySelector("input:checked, tr.here")) || Boolean(document.querySelector("dialog[open]"));
}

function rows(old, next) {
  const held = frozen(old.closest("table") ?? old);
  const known = new Map([...old.children].map((row) => [row.dataset.key, row]));
  const order = [];
  for (const row of [...next.children]) {
    const mine = known.get(row.dataset.key);
    known.delete(row.dataset.key);
    if (mine) node(mine, row);
    order.push(mine ?? row);
  }
  for (const row of known.values()) {
    const box = row.querySelector("input:checked");
    if (box || holds(row)) {
      row.classList.add("gone");
      row.removeAttribute("data-rev");
      if (box) {
        box.checked = false;
        box.dispatchEvent(new Event("change", { bubbles: true }));
      }
    } else row.remove();
  }
  if (held) {
    const present = [...old.children].filter((row) => !row.classList.contains("gone"));
    const wanted = order.filter((row) => row.parentNode === old);
    moved += wanted.filter((row, index) => present[index] !== row).length;
    for (const row of order) if (row.parentNode !== old) old.append(row);
    return;
  }
  order.forEach((row, index) => {
    const there = old.children[index] ?? null;
    if (there === row) return;
    if (row.parentNode === old && old.moveBefore) old.moveBefore(row, there);
    else old.insertBefore(row, there);
  });
}

/** Parses what the server sent into a document that runs nothing. */
const policy = globalThis.trustedTypes?.createPolicy("nsqadmin", { createHTML: (text) => text });
export function parse(text) {
  return new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html").querySelector("main");
}
