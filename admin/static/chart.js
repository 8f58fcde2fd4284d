// Reads values under the pointer: of a chart from its table of numbers, of a spark from its path.

let tip = null;

function show(event, text) {
  if (!tip) {
    tip = document.createElement("div");
    tip.id = "tip";
    tip.setAttribute("aria-hidden", "true");
    document.body.append(tip);
  }
  tip.textContent = text;
  tip.style.left = `${Math.min(event.pageX + 12, document.documentElement.clientWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.pageY - 30}px`;
}

function hide() {
  tip?.remove();
  tip = null;
}

function local(text, long) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (long) options.second = "2-digit";
  return new Date(text).toLocaleTimeString([], options);
}

/** Times of the server (UTC) in the reader's zone. */
export function clocks(main) {
  for (const time of main.querySelectorAll("time[data-clock]")) {
    const text = local(time.dateTime, time.dataset.clock === "long");
    if (time.textContent !== text) time.textContent = text;
  }
}

function short(value) {
  for (const [size, letter] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) if (value >= size) return (value / size).toFixed(1) + letter;
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

function ofChart(svg, event) {
  const rows = svg.closest("figure").querySelectorAll(".numbers tbody tr");
  const box = svg.getBoundingClientRect();
  const row = rows[Math.round(((event.clientX - box.left) / box.width) * (rows.length - 1))];
  if (!row) return "";
  const heads = [...row.closest("table").querySelectorAll("thead th")].slice(1);
  const values = [...row.querySelectorAll("td")].map((cell, index) => `${cell.textContent} ${heads[index].textContent}`);
  return `${local(row.querySelector("time").dateTime, true)}  ${values.join("  ")}`;
}

function ofSpark(svg, event) {
  const box = svg.getBoundingClientRect();
  const x = Math.round(((event.clientX - box.left) / box.width) * 59);
  const point = [...svg.querySelector("path").getAttribute("d").matchAll(/[ML](\d+) (\d+)/g)].find((match) => Number(match[1]) === x);
  if (!point) return "";
  const value = (Number(svg.dataset.max) * (20 - Number(point[2]))) / 20;
  return `about ${short(value)}, greatest ${short(Number(svg.dataset.max))}`;
}

export function charts(main) {
  main.addEventListener("pointermove", (event) => {
    const svg = event.target.closest?.("svg.spark, .plot svg");
    const text = svg && (svg.matches(".spark") ? ofSpark(svg, event) : ofChart(svg, event));
    if (text) show(event, text);
    else hide();
  });
  main.addEventListener("pointerleave", hide);
}
