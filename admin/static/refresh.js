// Asks for the page's own address again when the next tick is due. Hidden or paused, it asks nothing.
import { patch, parse } from "./patch.js";
import { clocks } from "./chart.js";

const TIMEOUT_MS = 10_000;
const BACK_OFF_MS = [10_000, 20_000, 40_000, 60_000];
const SAY_EVERY_MS = 30_000;
const STALE_POLLS = 3;

let main;
let timer = 0;
let running = false;
let paused = false;
let failures = 0;
let tag = "";
let received = performance.now();
let critical = 0;
let said = -SAY_EVERY_MS;
let held = 0;

function stored() {
  try {
    return localStorage.getItem("nsqadmin.paused") === "1";
  } catch {
    return false;
  }
}

export function follow(element) {
  main = element;
  critical = Number(main.dataset.critical);
  title();
  setInterval(fresh, 1_000);
  if (main.dataset.nextMs === undefined) return;
  const button = document.querySelector("#pause");
  button.hidden = false;
  button.addEventListener("click", () => pause(!paused));
  pause(stored());
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
}

/** Stops or goes on, here and on the next page. */
export function pause(stop = !paused) {
  paused = stop;
  try {
    localStorage.setItem("nsqadmin.paused", stop ? "1" : "0");
  } catch {
    // It holds for this page then.
  }
  const button = document.querySelector("#pause");
  button.textContent = stop ? "Go on" : "Pause";
  button.setAttribute("aria-pressed", String(stop));
  clearTimeout(timer);
  if (!stop) schedule(Number(main.dataset.nextMs));
  fresh();
}

function schedule(ms) {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(ask, ms + 150 + Math.random() * 250);
}

/** Asks now, unless it is asking already. */
export async function ask() {
  if (running || paused || document.hidden || main.dataset.nextMs === undefined) return;
  running = true;
  clearTimeout(timer);
  try {
    const headers = { "X-Fragment": "1" };
    if (tag) headers["If-None-Match"] = tag;
    const answer = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status === 304) {
      failures = 0;
      schedule(Math.min(2_000, Number(main.dataset.intervalMs) / 4));
      return;
    }
    const next = parse(await answer.text());
    if (!next) throw new Error(`no page: ${answer.status}`);
    tag = answer.headers.get("ETag") ?? "";
    failures = 0;
    received = performance.now();
    held = patch(main, next);
    clocks(main);
    resort();
    tell();
    document.dispatchEvent(new CustomEvent("nsqadmin:tick"));
    schedule(Number(main.dataset.nextMs));
  } catch {
    schedule(BACK_OFF_MS[Math.min(failures, BACK_OFF_MS.length - 1)]);
    failures += 1;
  } finally {
    running = false;
    fresh();
  }
}

function duration(seconds) {
  return seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

function fresh() {
  const element = document.querySelector("#fresh");
  if (main.dataset.tick === "0") return;
  const age = Number(main.dataset.ageMs) + performance.now() - received;
  const live = main.dataset.nextMs !== undefined;
  const stale = live && !paused && age > STALE_POLLS * Number(main.dataset.intervalMs);
  const text = stale ? `stale ${duration(Math.floor(age / 1_000))}` : `${duration(Math.floor(age / 1_000))} ago`;
  if (element.textContent !== text) element.textContent = text;
  element.classList.toggle("stale", stale);
}

/** The button that lets held rows go to their places. */
function resort() {
  let button = document.querySelector("#resort");
  if (!held) return button?.remove();
  if (!button) {
    button = document.createElement("button");
    button.id = "resort";
    button.type = "button";
    button.addEventListener("click", sort);
    document.body.append(button);
  }
  button.textContent = `Sort again (${held} moved)`;
}

/** Leaves the table, and asks anew so that rows find their places. */
export function sort() {
  document.activeElement?.blur();
  document.querySelectorAll("tr.here").forEach((row) => row.classList.remove("here"));
  document.querySelector("#resort")?.remove();
  tag = "";
  const main = document.querySelector("#main");
  // Under the pointer nothing moves; the table is let go for this one time.
  main.style.pointerEvents = "none";
  ask().finally(() => main.style.removeProperty("pointer-events"));
}

/** Says aloud when the number of critical findings changes, and never more often than every half minute. */
function tell() {
  title();
  const now = Number(main.dataset.critical);
  if (now === critical || performance.now() - said < SAY_EVERY_MS) return;
  critical = now;
  said = performance.now();
  document.querySelector("#say").textContent = now === 1 ? "1 critical finding" : `${now} critical findings`;
}

function title() {
  const now = Number(main.dataset.critical);
  document.title = (now ? `(${now}) ` : "") + main.dataset.title;
}
