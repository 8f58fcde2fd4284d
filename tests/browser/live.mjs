// What comes from the nodes when a page is looked at: consumers and producers, whose texts are theirs.
import { cells, equal, ok, open, test } from "./lib/tests.mjs";

test("consumers show with what they hold, and hostile names stay text", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics/orders/billing`);
  const rows = await cells(page, "Consumers");
  equal(rows.length, world.cluster.nsqds.length, "one consumer on each node");
  ok(rows[0][0].includes('<img src=x onerror="document.title=\'owned\'">'), `the id is shown as it is: ${rows[0][0]}`);
  ok(rows[0][0].includes("␦evil"), `what hides is made visible: ${rows[0][0]}`);
  equal(await page.locator("main img, main script").count(), 0, "elements made of names");
  ok(!(await page.title()).includes("owned"), "nothing ran");
  await page.clean("consumers");
});

test("producers of a topic are named, with what they published to it", async ({ browser, world }) => {
  const page = await open(browser);
  await page.goto(`${world.cluster.url}/topics/orders`);
  const rows = await cells(page, "Producers");
  ok(rows.length >= 1 && rows.every((row) => row[0].startsWith("publisher")), `those of orders: ${JSON.stringify(rows)}`);
  ok(rows.every((row) => Number(row[3].replaceAll(",", "")) > 0), "each has published");
});
