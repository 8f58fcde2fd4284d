// axe on every page, in both themes and widths; contrast of the tokens; a walk with the keyboard alone.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { equal, ok, open, test } from "./lib/tests.mjs";
import { until } from "./lib/cluster.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

test("axe finds nothing serious on any page", async ({ browser, world }) => {
  const pages = ["/", "/topics", "/channels", "/nodes", "/lookup", "/counter", "/search?q=o", "/audit", "/help", "/topics/orders", "/topics/orders/billing", "/topics/alone/nobody", `/nodes/${world.cluster.nsqds[0].address}`, "/ui/confirm?action=delete&object=orders", "/topics/nowhere", "/topics/paused/held"];
  const found = [];
  for (const width of [1440, 390]) {
    // The policy forbids scripts from elsewhere, and axe is one.
    const page = await open(browser, { viewport: { width, height: 900 }, bypassCSP: true });
    for (const path of pages) {
      await page.goto(world.cluster.url + path);
      await page.evaluate(axe);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        // The other theme differs in colours alone.
        const rules = colorScheme === "dark" ? { runOnly: ["color-contrast", "link-in-text-block"] } : {};
        const result = await page.evaluate((more) => globalThis.axe.run(document, { resultTypes: ["violations"], ...more }), rules);
        for (const one of result.violations) {
          if (one.impact === "serious" || one.impact === "critical") found.push(`${path} ${colorScheme} ${width}: ${one.id} ${one.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`);
        }
      }
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (over > 0) found.push(`${path} ${width}: the page is ${over} px too wide`);
    }
    await page.context().close();
  }
  equal(found, [], "faults");
});

/** Contrast of two colours after WCAG 2. */
function contrast(a, b) {
  const light = (hex) => {
    const [r, g, blue] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
  };
  const [x, y] = [light(a), light(b)].sort((one, other) => other - one);
  return (x + 0.05) / (y + 0.05);
}

test("the colours keep their contrast in both themes", async ({ browser, world }) => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, { colorScheme });
    await page.goto(world.cluster.url);
    const token = await page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      return Object.fromEntries(["ground", "raised", "text", "muted", "link", "border", "critical", "critical-tint", "warning", "warning-tint", "ok", "in", "out", "redo"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    });
    const least = [["text", "ground", 7], ["muted", "ground", 4.5], ["muted", "raised", 4.5], ["link", "ground", 4.5], ["border", "ground", 3], ["critical", "ground", 4.5], ["critical", "critical-tint", 4.5], ["warning", "ground", 4.5], ["warning", "warning-tint", 4.5], ["text", "warning-tint", 7], ["ok", "ground", 4.5], ["in", "ground", 4.5], ["out", "ground", 4.5], ["redo", "ground", 4.5]];
    for (const [above, below, wanted] of least) {
      const has = contrast(token[above], token[below]);
      ok(has >= wanted, `${colorScheme}: ${above} on ${below} has ${has.toFixed(2)}, less than ${wanted}`);
    }
  }
});

test("a channel is found and deleted with the keyboard alone", async ({ browser, world }) => {
  await world.cluster.post(0, "topic/create?topic=keys");
  await world.cluster.post(0, "channel/create?topic=keys&channel=c");
  await world.cluster.shown("/channels?q=keys", (text) => text.includes("keys/c"));
  const page = await open(browser);
  await page.goto(world.cluster.url);
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.waitForURL(/\/channels/);
  await page.goto(`${world.cluster.url}/channels?q=keys`);
  await page.keyboard.press("j");
  ok(await page.locator("tr.here").count(), "a row is marked");
  await page.keyboard.press("Enter");
  await page.waitForURL(/topics\/keys\/c/);
  const reach = async (name) => {
    for (let press = 0; press < 60; press += 1) {
      if (await page.evaluate((wanted) => document.activeElement?.textContent?.trim() === wanted && document.activeElement.tagName === "BUTTON", name)) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`${name} is not reached by Tab`);
  };
  await reach("Delete…");
  await page.keyboard.press("Enter");
  await page.waitForURL(/ui\/confirm/);
  await reach("Delete");
  await page.keyboard.press("Enter");
  await page.waitForURL(/topics\/keys\?done=/);
  await until("it is gone", async () => !(await world.cluster.stats(0)).topics.find((one) => one.topic_name === "keys")?.channels.length);
});
