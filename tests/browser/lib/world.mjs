// The cluster that most tests look at: traffic that flows, a channel that grows, one that is paused, one whose consumer
// gives everything back.
import { Cluster } from "./cluster.mjs";
import { Consumer, Producer } from "./client.mjs";

const CONFIG = `
[attention]
no_consumers_hold_s = 1
stalled_hold_s = 3
node_without_consumers_hold_s = 2
topic_without_channel_hold_s = 1
distributing_stuck_hold_s = 2
lookupds_disagree_hold_s = 5
`;

/** Names that are as bad as NSQ lets a client choose. */
export const HOSTILE = { client_id: `<img src=x onerror="document.title='owned'">`, hostname: "\u202eevil\u0007", user_agent: `"'><script>alert(1)</script>` };

export async function world(options) {
  const cluster = await Cluster.start({ config: CONFIG, ...options });
  const producers = [];
  const consumers = [];
  const count = cluster.nsqds.length;
  for (let index = 0; index < count; index += 1) {
    for (const [topic, channel] of [["orders", "billing"], ["orders", "archive"], ["mail", "send"], ["paused", "held"], ["tail#ephemeral", "x#ephemeral"], ["alone", "nobody"]]) {
      await cluster.post(index, `topic/create?topic=${encodeURIComponent(topic)}`);
      await cluster.post(index, `channel/create?topic=${encodeURIComponent(topic)}&channel=${encodeURIComponent(channel)}`);
    }
    await cluster.post(index, "channel/pause?topic=paused&channel=held");
    await cluster.publish(index, "paused", Array(30).fill("waits"));
    await cluster.publish(index, "alone", Array(700).fill("nobody takes me"));
    producers.push(new Producer(cluster.nsqds[index].tcp, "orders"), new Producer(cluster.nsqds[index].tcp, "mail", HOSTILE));
    consumers.push(new Consumer(cluster.nsqds[index].tcp, "orders", "billing", { identity: HOSTILE }));
    consumers.push(new Consumer(cluster.nsqds[index].tcp, "orders", "archive"));
    consumers.push(new Consumer(cluster.nsqds[index].tcp, "mail", "send", { ready: 3, answer: (id) => (Math.random() < 0.5 ? `REQ ${id} 0` : `FIN ${id}`) }));
  }
  await cluster.publish(0, "unheard", ["no channel takes me"]);
  const traffic = { on: true };
  const timer = setInterval(() => {
    if (traffic.on) for (const producer of producers) producer.publish("a message of some length, as messages are");
  }, 20);
  await cluster.shown("/", (text) => text.includes("no-consumers"));
  return {
    cluster,
    /** Holds the traffic until all is delivered, so that figures stand still. */
    async still() {
      traffic.on = false;
      const quiet = async () => {
        const all = await Promise.all(cluster.nsqds.map((_, index) => cluster.stats(index)));
        return JSON.stringify(all.map((one) => one.topics.map((topic) => [topic.message_count, topic.channels.map((channel) => [channel.depth, channel.in_flight_count, channel.message_count, channel.requeue_count])])));
      };
      let before = "";
      for (let same = 0; same < 4; ) {
        await new Promise((resolve) => setTimeout(resolve, 150));
        const now = await quiet();
        same = now === before ? same + 1 : 0;
        before = now;
      }
      // Two ticks later the pages have seen it.
      const tick = async () => Number((await (await fetch(cluster.url)).text()).match(/data-tick="(\d+)"/)[1]);
      const first = await tick();
      while ((await tick()) < first + 3) await new Promise((resolve) => setTimeout(resolve, 50));
    },
    flow() {
      traffic.on = true;
    },
    async stop() {
      clearInterval(timer);
      for (const one of [...producers, ...consumers]) one.close();
      await cluster.stop();
    },
  };
}
