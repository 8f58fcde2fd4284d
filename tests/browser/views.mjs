// Every view, with its figures held against /stats.
import { cells, column, equal, ok, open, test } from "./lib/tests.mjs";

/** Sums over the nodes of what `/stats` says: depth and messages by topic, and by topic/channel. */
async function truth(world) {
  const sums = { topics: {}, channels: {}, nodes: {} };
  for (const [index, nsqd] of world.cluster.nsqds.entries()) {
    const stats = await world.cluster.stats(index);
    let node = 0;
    for (const topic of stats.topics) {
      const own = (sums.topics[topic.topic_name] ??= { depth: 0, messages: 0 });
      own.depth += topic.depth;
      own.messages += topic.message_count;
      node += topic.depth;
      for (const channel of topic.channels) {
        const its = (sums.channels[`${topic.topic_name}/${channel.channel_name}`] ??= { depth: 0, flight: 0, clients: 0 });
        its.depth += channel.depth;
        its.flight += channel.in_flight_count;
        its.clients += channel.clients?.length ?? channel.client_count;
        own.depth += channel.depth;
        node += channel.depth;
      }
    }
    sums.nodes[nsqd.address] = node;
  }
  return sums;
}

const numbers = (table) => Object.fromEntries(Object.entries(table).map(([key, text]) => [key, Number(text.replaceAll(",", ""))]));
const of = (table, field) => Object.fromEntries(Object.entries(table).map(([key, value]) => [key, field ? value[field] : value]));
const sorted = (table) => Object.fromEntries(Object.entries(table).sort());

test("figures of every list are those of /stats", async ({ browser, world }) => {
  await world.still();
  try {
    const page = await open(browser);
    const wanted = await truth(world);
    await page.goto(`${world.cluster.url}/topics`);
    equal(sorted(numbers(await column(page, "Topics", "Depth"))), sorted(of(wanted.topics, "depth")), "depth of topics");
    await page.goto(`${world.cluster.url}/channels`);
    equal(sorted(numbers(await column(page, "Channels", "Depth"))), sorted(of(wanted.channels, "depth")), "depth of channels");
    equal(sorted(numbers(await column(page, "Channels", "In flight"))), sorted(of(wanted.channels, "flight")), "in flight");
    equal(sorted(numbers(await column(page, "Channels", "Consumers"))), sorted(of(wanted.channels, "clients")), "consumers");
    await page.goto(`${world.cluster.url}/nodes`);
    equal(sorted(numbers(await column(page, "Nodes", "Depth"))), sorted(wanted.nodes), "depth of nodes");
    for (const topic of ["orders", "alone"]) {
      await page.goto(`${world.cluster.url}/topics/${topic}`);
      const messages = Object.values(numbers(await column(page, "Nodes that have the topic", "Messages"))).reduce((a, b) => a + b);
      equal(messages, wanted.topics[topic].messages, `messages of ${topic}`);
    }
    await page.clean("lists");
  } finally {
    world.flow();
  }
});

test("the first page says what is wrong", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(world.cluster.url);
  const text = await page.locator(".attention").innerText();
  ok(/Needs attention/.test(text) && /alone \/ nobody/.test(text), `the channel without consumers is named: ${text}`);
  ok(/no consumers; 1,4\d\d|no consumers; [\d,]+ waiting/.test(text), `with how much waits: ${text}`);
  await page.locator(".attention th a", { hasText: "nobody" }).first().click();
  await page.waitForURL(/\/topics\/alone\/nobody/);
  ok(/no consumers/.test(await page.locator(".sentences").innerText()), "its page says so too");
  await page.clean("overview");
});

test("every view is there, and every link of it leads somewhere", async ({ browser, world }) => {
  const page = await open(browser);
  const seen = new Set();
  const queue = ["/", "/topics", "/channels", "/nodes", "/lookup", "/counter", "/search?q=o", "/audit", "/help", "/topics/orders", "/topics/orders/billing", `/nodes/${world.cluster.nsqds[0].address}`, "/topics/tail%23ephemeral/x%23ephemeral"];
  for (const path of queue) {
    const answer = await page.goto(world.cluster.url + path);
    equal(answer.status(), 200, path);
    equal(await page.locator("h1").count(), 1, `${path} has one heading`);
    const links = await page.$$eval("a[href]", (all) => all.map((one) => one.href));
    for (const link of links) if (link.startsWith(world.cluster.url)) seen.add(link.split("#")[0]);
    await page.clean(path);
  }
  for (const link of seen) ok((await fetch(link)).status < 400, `${link} is answered`);
});

test("sort, filter and pages are in the address", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics?per=2`);
  equal((await cells(page, "Topics")).length, 2, "rows of a page of two");
  await page.getByRole("link", { name: "next ›" }).click();
  ok(/page=2/.test(page.url()), "the page is in the address");
  await page.goto(`${world.cluster.url}/topics`);
  await page.getByRole("link", { name: "Depth" }).click();
  ok(/sort=-depth/.test(page.url()), "the order is in the address");
  equal(await page.locator("th[aria-sort]").innerText(), "Depth ↓", "the sorted column says so");
  equal(Object.keys(await column(page, "Topics", "Depth"))[0], "alone", "the deepest comes first");
  await page.locator("main input[type=search]").fill("ord");
  await page.getByRole("button", { name: "Filter" }).click();
  ok(/q=ord/.test(page.url()) && /sort=-depth/.test(page.url()), "the filter is in the address, and the order stays");
  equal(Object.keys(await column(page, "Topics", "Depth")), ["orders"], "what the filter leaves");
  await page.goto(`${world.cluster.url}/channels?state=paused`);
  equal(Object.keys(await column(page, "Channels", "Depth")), ["paused/held"], "paused channels");
});

test("search finds topics, channels and nodes", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(world.cluster.url);
  await page.keyboard.press("/");
  await page.keyboard.type("bill");
  await page.keyboard.press("Enter");
  await page.waitForURL(/search\?q=bill/);
  await page.getByRole("link", { name: "orders/billing" }).click();
  await page.waitForURL(/\/topics\/orders\/billing$/);
  await page.goto(`${world.cluster.url}/search?q=${world.cluster.nsqds[1].http}`);
  ok(await page.locator("main").getByRole("link", { name: world.cluster.nsqds[1].address }).count(), "a node by its port");
});

test("the counter climbs and never passes what is true", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/counter`);
  const shown = () => page.$eval("#odometer", (one) => [Number(one.textContent.replaceAll(",", "")), Number(one.dataset.total)]);
  const [first] = await shown();
  for (let look = 0; look < 20; look += 1) {
    const [now, total] = await shown();
    ok(now <= total, `${now} is beyond ${total}`);
    await page.waitForTimeout(100);
  }
  ok((await shown())[0] > first, "it climbed");
  await page.clean("counter");
});
