// Every action, from its button to the nsqds.
import { equal, ok, open, test } from "./lib/tests.mjs";
import { until } from "./lib/cluster.mjs";

async function topicOn(world, index, topic) {
  return (await world.cluster.stats(index)).topics.find((one) => one.topic_name === topic);
}

async function channels(world, topic, channel) {
  const all = await Promise.all(world.cluster.nsqds.map((_, index) => topicOn(world, index, topic)));
  return all.map((one) => one?.channels.find((other) => other.channel_name === channel));
}

async function prepare(world, topic, messages = 0) {
  for (const [index] of world.cluster.nsqds.entries()) {
    await world.cluster.post(index, `topic/create?topic=${topic}`);
    await world.cluster.post(index, `channel/create?topic=${topic}&channel=c`);
    if (messages) await world.cluster.publish(index, topic, Array(messages).fill("x"));
  }
  await world.cluster.shown(`/topics/${topic}/c`, (text) => !text.includes("No nsqd that answered has this channel"));
}

test("a channel is paused at once, undone, and the result is told", async ({ browser, world }) => {
  await prepare(world, "act-pause");
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics/act-pause/c`);
  await page.locator(".head").getByRole("button", { name: "Pause" }).click();
  await page.waitForURL(/done=/);
  ok(/Paused act-pause\/c/.test(await page.locator(".result").innerText()), "the result names it");
  equal((await channels(world, "act-pause", "c")).map((one) => one.paused), world.cluster.nsqds.map(() => true), "paused on every node");
  ok(await page.locator("h1 .badge", { hasText: "paused" }).count(), "the page shows it at once");
  await page.getByRole("button", { name: "Undo" }).click();
  await page.waitForURL(/done=/);
  await until("unpaused everywhere", async () => (await channels(world, "act-pause", "c")).every((one) => !one.paused));
  await page.clean("pause");
});

test("emptying names what is lost, and wants the name when it is much", async ({ browser, world }) => {
  await prepare(world, "act-empty", 800);
  const page = await open(browser);
  const all = 800 * world.cluster.nsqds.length;
  await world.cluster.shown("/topics/act-empty/c", (text) => text.includes(all.toLocaleString("en-US")));
  await page.goto(`${world.cluster.url}/topics/act-empty/c`);
  await page.getByRole("button", { name: "Empty…" }).click();
  ok((await page.locator(".lost").innerText()).startsWith(all.toLocaleString("en-US")), "the loss is named");
  await page.locator("input[name=typed]").fill("wrong");
  await page.locator(".confirm").getByRole("button", { name: "Empty" }).click();
  ok(/Type c to confirm/.test(await page.locator(".refused").innerText()), "a wrong name is refused");
  ok((await channels(world, "act-empty", "c")).every((one) => one.depth === 800), "and nothing was done");
  page.wrong = page.wrong.filter((one) => !one.includes("409"));
  await page.locator("input[name=typed]").fill("c");
  await page.locator(".confirm").getByRole("button", { name: "Empty" }).click();
  await page.waitForURL(/topics\/act-empty\/c\?done=/);
  ok((await channels(world, "act-empty", "c")).every((one) => one.depth === 0), "emptied on every node");
  await page.clean("empty");
});

test("a loss that grew since it was confirmed is confirmed again", async ({ world }) => {
  await prepare(world, "act-grew", 900);
  const all = 900 * world.cluster.nsqds.length;
  await world.cluster.shown("/topics/act-grew/c", (text) => text.includes(all.toLocaleString("en-US")));
  const form = new URLSearchParams({ action: "empty", object: "act-grew/c", loss: String(Math.floor((all - 1_001) / 2) - 1), typed: "c" });
  const answer = await fetch(`${world.cluster.url}/ui/act`, { method: "POST", body: form, redirect: "manual" });
  equal(answer.status, 409, "refused");
  ok(/would be lost by now/.test(await answer.text()), "and asked again");
  ok((await channels(world, "act-grew", "c")).every((one) => one.depth === 900), "nothing was done");
});

test("a channel and a topic are deleted everywhere", async ({ browser, world }) => {
  await prepare(world, "act-delete", 3);
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics/act-delete/c`);
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.locator(".confirm").getByRole("button", { name: "Delete" }).click();
  await page.waitForURL(/topics\/act-delete\?done=/);
  ok((await channels(world, "act-delete", "c")).every((one) => !one), "the channel is gone");
  await page.locator(".head").getByRole("button", { name: "Delete…" }).click();
  await page.locator(".confirm").getByRole("button", { name: "Delete" }).click();
  await page.waitForURL(/topics\?done=/);
  for (const [index] of world.cluster.nsqds.entries()) ok(!(await topicOn(world, index, "act-delete")), "the topic is gone");
  await page.clean("delete");
});

test("several channels are acted on together", async ({ browser, world }) => {
  for (const name of ["act-bulk-1", "act-bulk-2", "act-bulk-3"]) await prepare(world, name, 1);
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/channels?q=act-bulk`);
  const boxes = page.locator("tbody input[type=checkbox]");
  await boxes.nth(0).click();
  await boxes.nth(2).click({ modifiers: ["Shift"] });
  equal(await page.locator("[data-selected]").innerText(), "3 selected", "Shift takes the range");
  await page.locator("#bulk").getByRole("button", { name: "Delete" }).click();
  equal(await page.locator(".plan li").count(), 3, "the plan lists each");
  await page.locator("input[name=typed]").fill("delete 3");
  await page.locator(".confirm").getByRole("button", { name: "Delete" }).click();
  await page.waitForURL(/channels.*done=/);
  for (const name of ["act-bulk-1", "act-bulk-2", "act-bulk-3"]) ok((await channels(world, name, "c")).every((one) => !one), `${name} is gone`);
  await page.clean("bulk");
});

test("a topic with a channel is created, and a bad name is refused", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/lookup`);
  await page.locator(".create input[name=topic]").fill("act-create");
  await page.locator(".create input[name=channel]").fill("c");
  await page.locator(".create").getByRole("button", { name: "Create" }).click();
  await page.waitForURL(/lookup\?done=/);
  ok(/Created act-create\/c/.test(await page.locator(".result").innerText()), "the result names it");
  const known = await (await fetch(`http://127.0.0.1:${world.cluster.lookupd.http}/channels?topic=act-create`)).json();
  equal(known.channels, ["c"], "nsqlookupd knows it");
  const bad = new URLSearchParams({ action: "create", topic: "no spaces" });
  equal((await fetch(`${world.cluster.url}/ui/act`, { method: "POST", body: bad })).status, 400, "a bad name");
  await page.clean("create");
});

test("a topic is tombstoned on one node only", async ({ browser, world }) => {
  await prepare(world, "act-tomb");
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics/act-tomb`);
  await page.getByRole("button", { name: "Tombstone" }).first().click();
  await page.locator(".confirm").getByRole("button", { name: "Tombstone" }).click();
  await page.waitForURL(/act-tomb\?done=/);
  const there = await Promise.all(world.cluster.nsqds.map((_, index) => topicOn(world, index, "act-tomb")));
  equal(there.filter(Boolean).length, world.cluster.nsqds.length - 1, "nodes that still have it");
  await page.clean("tombstone");
});

test("the audit page tells who did what", async ({ browser, world }) => {
  await prepare(world, "act-audit");
  const form = new URLSearchParams({ action: "pause", object: "act-audit/c" });
  await fetch(`${world.cluster.url}/ui/act`, { method: "POST", body: form, headers: { "X-Forwarded-User": "ada" } });
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/audit`);
  const row = await page.locator("tbody tr").first().innerText();
  ok(/pause_channel/.test(row) && /act-audit \/ c/.test(row) && /success/.test(row) && /ada/.test(row), `the last row: ${row}`);
});

test("without script one reads, sorts, filters and acts", async ({ browser, world }) => {
  await prepare(world, "act-plain", 2);
  const page = await open(browser, { javaScriptEnabled: false });
  await page.goto(world.cluster.url);
  ok(await page.getByText("Needs attention").count(), "the first page is whole");
  await page.goto(`${world.cluster.url}/channels`);
  await page.getByRole("link", { name: "Out/s" }).click();
  ok(/sort=-out/.test(page.url()), "sorted");
  await page.locator("main input[type=search]").fill("act-plain");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.locator("tbody input[type=checkbox]").first().check();
  await page.locator("#bulk").getByRole("button", { name: "Empty" }).click();
  await page.locator(".confirm").getByRole("button", { name: "Empty" }).click();
  await page.waitForURL(/done=/);
  ok((await channels(world, "act-plain", "c")).every((one) => one.depth === 0), "emptied");
  await page.goto(`${world.cluster.url}/topics/orders`);
  await page.locator(".chart details summary").first().click();
  ok(await page.locator(".numbers tbody tr").first().isVisible(), "the numbers of a chart can be read");
});
