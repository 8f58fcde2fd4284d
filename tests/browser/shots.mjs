// Screenshots of every page, in both themes and widths, of clusters in five states: written to a folder, for people to look at.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Cluster } from "./lib/cluster.mjs";
import { Consumer } from "./lib/client.mjs";
import { launch, open } from "./lib/tests.mjs";
import { fill } from "./scale.mjs";
import { world } from "./lib/world.mjs";

const HISTORY_MS = 40_000;

async function take(browser, cluster, folder, state, paths) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1440, 390]) {
      const page = await open(browser, { colorScheme, viewport: { width, height: 900 } });
      for (const path of paths) {
        await page.goto(cluster.url + path);
        const name = path.replace(/^\//, "").replaceAll(/[^a-z0-9]+/gi, "-") || "overview";
        await page.screenshot({ path: join(folder, `${state}-${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
      await page.context().close();
    }
  }
}

export async function shots(options) {
  mkdirSync(options.shots, { recursive: true });
  const browser = await launch();
  const all = (cluster) => ["/", "/topics", "/channels", "/topics/orders", "/topics/orders/billing", "/nodes", `/nodes/${cluster.nsqds[0].address}`, "/lookup", "/counter", "/search?q=o", "/ui/confirm?action=delete&object=orders", "/audit", "/help"];
  const busy = await world({ ...options, nodes: 3 });
  await new Promise((resolve) => setTimeout(resolve, HISTORY_MS));
  await take(browser, busy.cluster, options.shots, "broken", all(busy.cluster));
  busy.cluster.nsqds[2].daemon.signal("SIGSTOP");
  await busy.cluster.shown("/", (text) => text.includes("node-unreachable"), 30_000);
  await take(browser, busy.cluster, options.shots, "partial", ["/", "/nodes", "/topics/orders"]);
  await busy.stop();

  const empty = await Cluster.start({ ...options, foreign: undefined, nodes: 0 });
  await empty.shown("/", (text) => /data-tick="[1-9]/.test(text));
  await take(browser, empty, options.shots, "empty", ["/", "/topics", "/channels", "/nodes", "/lookup"]);
  await empty.stop();

  const healthy = await Cluster.start({ ...options, foreign: undefined });
  const consumers = [];
  for (const [index, nsqd] of healthy.nsqds.entries()) {
    for (const topic of ["orders", "mail"]) {
      await healthy.post(index, `topic/create?topic=${topic}`);
      await healthy.post(index, `channel/create?topic=${topic}&channel=billing`);
      consumers.push(new Consumer(nsqd.tcp, topic, "billing"));
    }
  }
  const timer = setInterval(() => healthy.nsqds.forEach((_, index) => healthy.publish(index, "orders", Array(5).fill("x")).catch(() => {})), 100);
  await new Promise((resolve) => setTimeout(resolve, HISTORY_MS / 2));
  await take(browser, healthy, options.shots, "healthy", ["/", "/topics/orders", "/topics/orders/billing"]);
  clearInterval(timer);
  consumers.forEach((one) => one.close());
  await healthy.stop();

  const large = await Cluster.start({ ...options, foreign: undefined, nodes: 1 });
  await fill(large, 0, 1_000);
  await large.shown("/topics", (text) => text.includes("1,000 topics"), 60_000);
  await take(browser, large, options.shots, "thousand", ["/", "/topics"]);
  await large.stop();
  await browser.close();
}
