#!/usr/bin/env node
// Drives nsqadmin's pages in a browser, over a real cluster with traffic.
//
//   tests/browser/run.mjs                        all, with the daemons in target/release
//   tests/browser/run.mjs refresh                those whose name contains one of the words
//   tests/browser/run.mjs --bin DIR --nsqd PATH  with an nsqd of NSQ's beside ours
//   tests/browser/run.mjs --shots DIR            screenshots of every page, to be looked at
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Cluster } from "./lib/cluster.mjs";
import { launch, tests } from "./lib/tests.mjs";
import { world } from "./lib/world.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const options = { bin: process.env.NSQ_BIN_DIR ?? `${root}/target/release`, scratch: `${root}/.cache/tests`, words: [] };
for (let args = process.argv.slice(2); args.length; ) {
  const word = args.shift();
  if (word === "--bin") options.bin = resolve(args.shift());
  else if (word === "--nsqd") options.foreign = resolve(args.shift());
  else if (word === "--shots") options.shots = resolve(args.shift());
  else options.words.push(word);
}
const TEST_MS = 180_000;

if (options.shots) {
  const { shots } = await import("./shots.mjs");
  await shots(options);
  process.exit(0);
}
for (const file of ["views", "live", "actions", "refresh", "accessible", "safe", "scale"]) await import(`./${file}.mjs`);

const browser = await launch();
let passed = 0;
let failed = 0;
let shared;
try {
  for (const { name, run } of tests.filter((one) => !options.words.length || options.words.some((word) => one.name.includes(word)))) {
    const started = Date.now();
    let timer;
    try {
      shared ??= await world(options);
      const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`still running after ${TEST_MS} ms`)), TEST_MS)));
      await Promise.race([run({ browser, world: shared, options }), late]);
      passed += 1;
      console.log(`ok   ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n     ${error.stack?.split("\n").slice(0, 6).join("\n     ")}`);
      if (shared) console.log(shared.cluster.daemon.text().split("\n").slice(-8).join("\n"));
    } finally {
      clearTimeout(timer);
    }
    for (const context of browser.contexts()) await context.close();
  }
} finally {
  await shared?.stop();
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
