// What a refresh must leave alone, and when it must not happen.
import { equal, ok, open, test } from "./lib/tests.mjs";
import { until } from "./lib/cluster.mjs";

const tick = (page) => page.$eval("#main", (main) => Number(main.dataset.tick));

async function ticks(page, count) {
  const first = await tick(page);
  await until(`${count} ticks`, async () => (await tick(page)) >= first + count, 60_000);
}

async function make(world, name, messages) {
  await world.cluster.post(0, `topic/create?topic=${name}`);
  await world.cluster.post(0, `channel/create?topic=${name}&channel=c`);
  if (messages) await world.cluster.publish(0, name, Array(messages).fill("x"));
}

test("figures follow the ticks without a new page", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics/orders`);
  await page.evaluate(() => (globalThis.same = true));
  const messages = () => page.$$eval("table", (all) => all.find((one) => one.caption?.textContent === "Nodes that have the topic").tFoot?.textContent ?? "");
  const before = await messages();
  await ticks(page, 4);
  ok((await messages()) !== before, "the messages went on");
  ok(await page.evaluate(() => globalThis.same), "it is still the same page");
  await page.clean("refresh");
});

test("focus, caret, selection, checked rows, open details and scroll survive twenty ticks of change", async ({ browser, world }) => {
  for (let number = 0; number < 12; number += 1) await make(world, `keep-${number}`, number);
  await world.cluster.shown("/channels?q=keep-", (text) => text.includes("keep-11"));
  const page = await open(browser, { viewport: { width: 1440, height: 300 } });
  await page.goto(`${world.cluster.url}/channels?q=keep-&sort=-depth`);
  const box = page.locator('tr[data-key="keep-3/c"] input');
  await box.check();
  const filter = page.locator("main input[type=search]");
  await filter.fill("keep-xyz");
  await filter.evaluate((one) => one.setSelectionRange(2, 5));
  await page.evaluate(() => scrollTo(0, 60));
  const order = () => page.$$eval("tbody tr", (rows) => rows.map((row) => row.dataset.key));
  const before = await order();
  const first = await tick(page);
  for (let step = 0; step < 8; step += 1) {
    await world.cluster.publish(0, `keep-${step}`, Array(40 * (step + 1)).fill("x"));
    if (step === 3) await make(world, "keep-new", 500);
    if (step === 5) await world.cluster.post(0, "topic/delete?topic=keep-9");
    await ticks(page, 2);
  }
  await until("twenty ticks", async () => (await tick(page)) >= first + 20, 60_000);
  ok(await box.isChecked(), "the row is still checked");
  equal(await filter.evaluate((one) => [one === document.activeElement, one.value, one.selectionStart, one.selectionEnd]), [true, "keep-xyz", 2, 5], "focus, text and caret");
  equal(await page.evaluate(() => scrollY), 60, "scroll");
  const after = await order();
  equal(after.filter((key) => before.includes(key)), before.filter((key) => key !== "keep-9/c"), "no row moved while one is checked");
  ok(after.includes("keep-new/c") && after.indexOf("keep-new/c") === after.length - 1, "a new row comes last");
  const button = page.locator("#resort");
  ok(/Sort again/.test(await button.innerText()), "a button offers to sort again");
  await box.uncheck();
  await filter.evaluate((one) => one.blur());
  await page.mouse.move(5, 5);
  await button.click();
  await until("sorted by depth again", async () => (await order())[0] === "keep-new/c" || (await order())[0] === "keep-7/c");
  await page.goto(`${world.cluster.url}/topics/orders`);
  await page.locator(".chart summary").first().click();
  await page.evaluate(() => {
    const range = document.createRange();
    range.selectNodeContents(document.querySelector("h2#nodes"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  });
  await ticks(page, 4);
  ok(await page.locator(".chart details").first().evaluate((one) => one.open), "details stay open");
  equal(await page.evaluate(() => getSelection().toString()), "Nodes", "selected text stays");
  await page.clean("survival");
});

test("a row that vanishes while it is checked is greyed, and unchecked", async ({ browser, world }) => {
  await make(world, "vanish", 1);
  await world.cluster.shown("/channels?q=vanish", (text) => text.includes("vanish/c"));
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/channels`);
  const row = page.locator('tr[data-key="vanish/c"]');
  await row.locator("input").check();
  await world.cluster.post(0, "topic/delete?topic=vanish");
  await until("it is greyed", async () => (await row.getAttribute("class"))?.includes("gone"));
  ok(!(await row.locator("input").isChecked()), "it is unchecked");
  equal(await page.locator("[data-selected]").innerText(), "0 selected", "nothing is selected any more");
});

test("hidden or paused it asks nothing, and shown again it asks at once", async ({ browser, world }) => {
  const page = await open(browser);
  let asked = 0;
  page.on("request", (request) => (asked += request.headers()["x-fragment"] ? 1 : 0));
  await page.goto(`${world.cluster.url}/topics`);
  await until("it asks", () => asked > 1);
  await page.locator("#pause").click();
  equal(await page.locator("#pause").innerText(), "Go on", "the button says what it does");
  await page.waitForLoadState("networkidle");
  const paused = asked;
  await page.waitForTimeout(2_500);
  equal(asked, paused, "requests while paused, over five ticks");
  await page.reload();
  await page.waitForTimeout(1_500);
  equal(asked, paused, "a pause outlives a reload");
  await page.locator("#pause").click();
  await until("it asks again", () => asked > paused);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForLoadState("networkidle");
  await page.waitForTimeout(300);
  const hidden = asked;
  await page.waitForTimeout(2_500);
  equal(asked, hidden, "requests while hidden, over five ticks");
  await page.evaluate(() => {
    delete document.hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await until("it asks at once", () => asked > hidden, 1_000);
});

test("a refresh is small, quick, and moves nothing", async ({ browser, world }) => {
  const page = await open(browser);
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await page.addInitScript(() => {
    globalThis.shift = 0;
    globalThis.long = [];
    new PerformanceObserver((list) => list.getEntries().forEach((one) => (globalThis.shift += one.hadRecentInput ? 0 : one.value))).observe({ type: "layout-shift", buffered: true });
  });
  let bytes = 0;
  await session.send("Network.enable");
  session.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
  await page.goto(world.cluster.url, { waitUntil: "networkidle" });
  ok(bytes < 100_000, `the first page took ${bytes} bytes, all files of it`);
  console.log(`     first page: ${bytes} bytes`);
  const shift = await page.evaluate(() => globalThis.shift);
  bytes = 0;
  const first = await tick(page);
  await ticks(page, 5);
  const seen = (await tick(page)) - first;
  const each = Math.round(bytes / seen);
  console.log(`     refresh: ${each} bytes`);
  ok(each < 40_000, `a refresh took ${each} bytes`);
  // A number that grows by a digit widens its column a little; whole rows or blocks that jump would be far above this.
  const more = (await page.evaluate(() => globalThis.shift)) - shift;
  ok(more < 0.02, `refreshes shifted the layout by ${more}`);
});

test("when nsqadmin stops answering, the page says how old it is", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics`);
  world.cluster.daemon.signal("SIGSTOP");
  try {
    await until("it says so", async () => /stale/.test(await page.locator("#fresh").innerText()));
    ok(await page.locator("#fresh.stale").count(), "in the colour of a warning");
    ok(await page.locator("tbody tr").count(), "the figures stay");
  } finally {
    world.cluster.daemon.signal("SIGCONT");
  }
  await until("it is fresh again", async () => /ago/.test(await page.locator("#fresh").innerText()), 40_000);
});
