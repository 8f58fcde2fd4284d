// A thousand topics of five channels.
import { ok, open, test } from "./lib/tests.mjs";
import { Cluster } from "./lib/cluster.mjs";

const TOPICS = 1_000;
const CHANNELS = 5;

/** Makes topics and channels through the API of one nsqd, some at a time. */
export async function fill(cluster, index, topics) {
  const one = async (number) => {
    const topic = `topic-${String(number).padStart(4, "0")}`;
    await cluster.post(index, `topic/create?topic=${topic}`);
    for (let channel = 0; channel < CHANNELS; channel += 1) await cluster.post(index, `channel/create?topic=${topic}&channel=channel-${channel}`);
    if (number % 50 === 0) await cluster.publish(index, topic, Array(20).fill("x"));
  };
  for (let from = 0; from < topics; from += 50) await Promise.all(Array.from({ length: Math.min(50, topics - from) }, (_, at) => one(from + at)));
}

test("a thousand topics: there in a second, refreshed in 50 ms at a quarter of the speed", async ({ browser, options }) => {
  const cluster = await Cluster.start({ ...options, foreign: undefined, nodes: 1 });
  try {
    await fill(cluster, 0, TOPICS);
    await cluster.shown("/topics", (text) => text.includes("1,000 topics"), 60_000);
    const page = await open(browser);
    // The best of three: the machine may be busy with others.
    let took = Infinity;
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const started = Date.now();
      await page.goto(`${cluster.url}/topics`, { waitUntil: "load" });
      took = Math.min(took, Date.now() - started);
    }
    ok(took < 1_000, `the page took ${took} ms`);
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    const script = async () => (await session.send("Performance.getMetrics")).metrics.find((one) => one.name === "ScriptDuration").value * 1_000;
    const tick = () => page.$eval("#main", (main) => Number(main.dataset.tick));
    const [before, first] = [await script(), await tick()];
    while ((await tick()) < first + 8) await page.waitForTimeout(200);
    const each = ((await script()) - before) / ((await tick()) - first);
    console.log(`     page ${took} ms; script of a refresh ${each.toFixed(1)} ms at a quarter of the speed`);
    ok(each < 50, `the script of a refresh took ${each.toFixed(1)} ms`);
    const status = await import("node:fs").then((fs) => fs.readFileSync(`/proc/${cluster.daemon.process.pid}/status`, "utf8"));
    const kib = Number(status.match(/VmRSS:\s+(\d+)/)[1]);
    console.log(`     nsqadmin holds ${(kib / 1024).toFixed(0)} MiB`);
    ok(kib < 100 * 1024, `nsqadmin holds ${kib} KiB`);
    await page.clean("scale");
  } finally {
    await cluster.stop();
  }
});
