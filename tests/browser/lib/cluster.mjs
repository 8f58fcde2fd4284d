// A real cluster on loopback: nsqlookupd, nsqds and nsqadmin as processes, on ports of the kernel's choice.
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const START_MS = 30_000;

/** Polls until `probe` gives something true; fails with `what` at the deadline. */
export async function until(what, probe, within = 20_000) {
  const deadline = Date.now() + within;
  let last;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${what}${last ? ` (${last.message})` : ""}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

class Daemon {
  constructor(name, program, flags, log) {
    Object.assign(this, { name, log });
    const out = openSync(log, "w");
    this.process = spawn(program, flags, { stdio: ["ignore", out, out] });
    this.ended = new Promise((resolve) => this.process.on("exit", (code, signal) => resolve(code ?? signal)));
  }

  text() {
    return readFileSync(this.log, "utf8");
  }

  async port(kind) {
    const wanted = new RegExp(`${kind}: listening on .*:(\\d+)$`, "m");
    return Number(
      await until(`${this.name} listens for ${kind}`, () => {
        if (this.process.exitCode !== null) throw new Error(`${this.name} ended: ${this.text()}`);
        return this.text().match(wanted)?.[1];
      }, START_MS),
    );
  }

  signal(name) {
    this.process.kill(name);
  }

  async stop() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill("SIGCONT");
    this.process.kill("SIGTERM");
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 10_000);
    await this.ended;
    clearTimeout(timer);
  }
}

export class Cluster {
  /** `options`: bin, scratch, foreign (an nsqd of NSQ's, or none), nodes, admin (further flags), config (of nsqadmin). */
  static async start(options) {
    const cluster = new Cluster();
    cluster.options = options;
    mkdirSync(options.scratch, { recursive: true });
    cluster.folder = mkdtempSync(join(options.scratch, "browser-"));
    cluster.daemons = [];
    try {
      const lookupd = cluster.run("nsqlookupd", "nsqlookupd", ["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0", "--broadcast-address=127.0.0.1"]);
      cluster.lookupd = { daemon: lookupd, tcp: await lookupd.port("TCP"), http: await lookupd.port("HTTP") };
      cluster.nsqds = [];
      for (let index = 0; index < (options.nodes ?? 2); index += 1) await cluster.nsqd(join(options.bin, "nsqd"));
      if (options.foreign) await cluster.nsqd(options.foreign);
      await cluster.admin(options.admin ?? []);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  run(name, program, flags) {
    const path = program.includes("/") ? program : join(this.options.bin, program);
    const daemon = new Daemon(name, path, flags, join(this.folder, `${name}.log`));
    this.daemons.push(daemon);
    return daemon;
  }

  async nsqd(program) {
    const name = `nsqd-${this.nsqds.length + 1}`;
    const data = join(this.folder, name);
    mkdirSync(data);
    const daemon = this.run(name, program, [
      "--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0", "--broadcast-address=127.0.0.1",
      `--lookupd-tcp-address=127.0.0.1:${this.lookupd.tcp}`, `--data-path=${data}`, "--msg-timeout=1s",
      "--e2e-processing-latency-percentile=0.99", "--e2e-processing-latency-window-time=1m",
    ]);
    const nsqd = { daemon, tcp: await daemon.port("TCP"), http: await daemon.port("HTTP") };
    nsqd.address = `127.0.0.1:${nsqd.http}`;
    this.nsqds.push(nsqd);
    const listed = `http://127.0.0.1:${this.lookupd.http}/nodes`;
    await until(`nsqlookupd lists ${name}`, async () => (await (await fetch(listed)).json()).producers.some((one) => one.http_port === nsqd.http));
  }

  async admin(flags) {
    const config = join(this.folder, "nsqadmin.cfg");
    writeFileSync(config, this.options.config ?? "");
    this.daemon = this.run("nsqadmin", "nsqadmin", [
      "--http-address=127.0.0.1:0", `--lookupd-http-address=127.0.0.1:${this.lookupd.http}`, "--poll-interval=500ms",
      "--http-client-request-timeout=1s", `--config=${config}`, ...flags,
    ]);
    this.url = `http://127.0.0.1:${await this.daemon.port("HTTP")}`;
  }

  /** Publishes over HTTP to one of the nsqds. */
  async publish(index, topic, bodies) {
    const url = `http://${this.nsqds[index].address}/mpub?topic=${encodeURIComponent(topic)}`;
    const answer = await fetch(url, { method: "POST", body: bodies.join("\n") });
    if (!answer.ok) throw new Error(`mpub: ${answer.status} ${await answer.text()}`);
  }

  async post(index, path) {
    const answer = await fetch(`http://${this.nsqds[index].address}/${path}`, { method: "POST" });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  async stats(index) {
    return (await fetch(`http://${this.nsqds[index].address}/stats?format=json`)).json();
  }

  /** Waits until nsqadmin's own page shows what `probe` finds in its markup. */
  async shown(path, probe, within) {
    return until(`${path} shows it`, async () => probe(await (await fetch(this.url + path)).text()), within);
  }

  async stop() {
    for (const daemon of [...(this.daemons ?? [])].reverse()) await daemon.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
