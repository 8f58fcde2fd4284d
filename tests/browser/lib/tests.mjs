// Registration of tests, and the browser they share.
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";

export const tests = [];
export function test(name, run) {
  tests.push({ name, run });
}

export function equal(actual, wanted, what) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what}: ${a}, and wanted was ${b}`);
}

export function ok(value, what) {
  if (!value) throw new Error(what);
}

export async function launch() {
  const path = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
  if (!path) throw new Error("no chromium: install it (apt-get install chromium), or set CHROMIUM");
  // As root there is no sandbox; what is looked at is our own.
  return chromium.launch({ executablePath: path, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
}

/** A page that collects what must never be: errors, violations of the policy, failed requests. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") page.wrong.push(`${message.type()}: ${message.text()}`);
  });
  if (options.javaScriptEnabled !== false) {
    await page.addInitScript(() => {
      globalThis.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
  }
  page.clean = async (what) => {
    const violations = options.javaScriptEnabled === false ? [] : await page.evaluate(() => globalThis.violations);
    equal([...page.wrong, ...violations], [], `${what}: errors and violations`);
  };
  return page;
}

/** The cells of a table by caption, as text: one array for each row of its body. */
export function cells(page, caption) {
  return page.evaluate((wanted) => {
    const table = [...document.querySelectorAll("table")].find((one) => one.caption?.textContent === wanted);
    return [...(table?.tBodies[0]?.rows ?? [])].map((row) => [...row.cells].map((cell) => cell.innerText.trim()));
  }, caption);
}

/** A column of a table, by its head. */
export async function column(page, caption, head) {
  return page.evaluate(([wanted, head]) => {
    const table = [...document.querySelectorAll("table")].find((one) => one.caption?.textContent === wanted);
    const index = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.replace(/ [↑↓]$/, "").trim() === head);
    return Object.fromEntries([...table.tBodies[0].rows].map((row) => [row.dataset.key, row.cells[index].textContent.trim()]));
  }, [caption, head]);
}
