// What strangers cannot do, and a base path that no link forgets.
import { createServer } from "node:http";
import { equal, ok, open, test } from "./lib/tests.mjs";
import { Cluster } from "./lib/cluster.mjs";

test("a foreign page can neither post a form nor fetch", async ({ browser, world }) => {
  await world.cluster.post(0, "topic/create?topic=foreign");
  await world.cluster.post(0, "channel/create?topic=foreign&channel=c");
  await world.cluster.shown("/channels?q=foreign", (text) => text.includes("foreign/c"));
  const evil = createServer((_, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(`<form method=post action="${world.cluster.url}/ui/act"><input name=action value=pause><input name=object value="foreign/c"><button>win</button></form>`);
  });
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  try {
    const page = await open(browser);
    await page.goto(`http://127.0.0.1:${evil.address().port}/`);
    const [answer] = await Promise.all([page.waitForResponse((one) => one.url().endsWith("/ui/act")), page.getByRole("button").click()]);
    equal(answer.status(), 403, "the form");
    await page.goto(`http://127.0.0.1:${evil.address().port}/`);
    for (const [path, body] of [["/ui/act", "action=pause&object=foreign%2Fc"], ["/api/topics/foreign/c", '{"action":"pause"}'], ["/config/log_level", "debug"]]) {
      const [sent] = await Promise.all([
        page.waitForResponse((one) => one.url().endsWith(path)),
        page.evaluate(([url, text]) => fetch(url, { method: "POST", mode: "no-cors", body: text, headers: { "Content-Type": "text/plain" } }).catch(() => {}), [world.cluster.url + path, body]),
      ]);
      ok(sent.status() === 403 || sent.status() === 405, `${path} by fetch: ${sent.status()}`);
    }
    const channel = (await world.cluster.stats(0)).topics.find((one) => one.topic_name === "foreign").channels[0];
    equal(channel.paused, false, "paused by a stranger");
  } finally {
    evil.close();
  }
  const script = await fetch(`${world.cluster.url}/api/topics/foreign/c`, { method: "POST", body: '{"action":"pause"}' });
  equal(script.status, 200, "a script without these headers still may");
});

test("pages have their headers, and files may be kept for ever", async ({ world }) => {
  const page = await fetch(world.cluster.url);
  const text = await page.text();
  const policy = page.headers.get("content-security-policy");
  ok(policy.includes("default-src 'none'") && policy.includes("require-trusted-types-for 'script'") && !policy.includes("unsafe"), policy);
  equal([page.headers.get("x-content-type-options"), page.headers.get("referrer-policy"), page.headers.get("cache-control")], ["nosniff", "same-origin", "no-store"], "headers of a page");
  ok(!/ style=| on\w+=|<script>/.test(text), "nothing is inline");
  const file = await fetch(world.cluster.url + text.match(/href="(\/static\/app\.[0-9a-f]{8}\.css)"/)[1]);
  ok(file.headers.get("cache-control").includes("immutable"), "a file with its hash in the name");
  const back = new URLSearchParams({ action: "unpause", object: "orders/billing", back: "//evil.example/" });
  const answer = await fetch(`${world.cluster.url}/ui/act`, { method: "POST", body: back, redirect: "manual" });
  ok(answer.headers.get("location").startsWith("/?done="), `no way out: ${answer.headers.get("location")}`);
});

test("under a base path every page and action works, and readers may not act", async ({ browser, world, options }) => {
  const daemon = world.cluster.run("nsqadmin-base", "nsqadmin", ["--http-address=127.0.0.1:0", `--lookupd-http-address=127.0.0.1:${world.cluster.lookupd.http}`, "--poll-interval=500ms", "--base-path=/a/b", "--admin-user=ada"]);
  const origin = `http://127.0.0.1:${await daemon.port("HTTP")}`;
  const page = await open(browser, { extraHTTPHeaders: { "X-Forwarded-User": "ada" } });
  for (const path of ["", "/topics", "/channels", "/nodes", "/lookup", "/counter", "/search?q=o", "/audit", "/help"]) {
    equal((await page.goto(`${origin}/a/b${path}`)).status(), 200, path);
    const links = await page.$$eval("a[href], form[action], link[href], script[src]", (all) => all.map((one) => one.getAttribute("href") ?? one.getAttribute("action") ?? one.getAttribute("src")));
    for (const link of links) ok(link.startsWith("/a/b") || link.startsWith("#"), `${path} has ${link}`);
    await page.clean(path);
  }
  await page.waitForFunction(() => Number(document.querySelector("#main").dataset.tick) >= 0);
  await page.goto(`${origin}/a/b/channels?q=orders`);
  await page.waitForFunction(() => document.querySelector("tbody tr"));
  await page.getByRole("link", { name: "archive" }).click();
  await page.locator(".head").getByRole("button", { name: "Pause" }).click();
  await page.waitForURL(/\/a\/b\/topics\/orders\/archive\?done=/);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.waitForURL(/\/a\/b\/topics\/orders\/archive\?done=/);
  const reader = await open(browser, { extraHTTPHeaders: { "X-Forwarded-User": "eve" } });
  await reader.goto(`${origin}/a/b/topics/orders/archive`);
  const button = reader.locator(".head").getByRole("button", { name: "Pause" });
  ok(await button.isDisabled(), "the control is there, and off");
  ok(/admin-user/.test(await button.getAttribute("title")), "and says why");
  const form = new URLSearchParams({ action: "pause", object: "orders/archive" });
  equal((await fetch(`${origin}/a/b/ui/act`, { method: "POST", body: form, headers: { "X-Forwarded-User": "eve" } })).status, 403, "and the server refuses");
  await daemon.stop();
});

test("a node that hangs leaves the pages quick, and they say what is missing", async ({ browser, options }) => {
  const cluster = await Cluster.start({ ...options, foreign: undefined });
  try {
    await cluster.publish(0, "here", ["x"]);
    await cluster.publish(1, "there", ["x"]);
    await cluster.shown("/topics", (text) => text.includes("there") && text.includes("here"));
    cluster.nsqds[1].daemon.signal("SIGSTOP");
    await cluster.shown("/", (text) => text.includes("node-unreachable"), 30_000);
    const page = await open(browser);
    for (const path of ["/", "/topics", "/topics/here", "/nodes"]) {
      const started = Date.now();
      await page.goto(cluster.url + path, { waitUntil: "domcontentloaded" });
      ok(Date.now() - started < 1_000, `${path} took ${Date.now() - started} ms`);
      ok(/1 of 2 nodes answered/.test(await page.locator(".coverage").innerText()), `${path} says what is missing`);
    }
    await page.clean("partial");
  } finally {
    await cluster.stop();
  }
});
