// A consumer of NSQ's protocol, as small as the tests need it.
import { connect } from "node:net";

/** `answer(id)` gives the command for a message (`FIN id`, `REQ id 0`), or nothing to leave it unanswered. */
export class Consumer {
  constructor(port, topic, channel, { ready = 10, identity = {}, answer = (id) => `FIN ${id}` } = {}) {
    this.taken = 0;
    this.pending = Buffer.alloc(0);
    this.answer = answer;
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => {});
    this.socket.on("data", (data) => this.read(data));
    const body = Buffer.from(JSON.stringify({ client_id: "worker", hostname: "worker", user_agent: "browser-test/1", ...identity }));
    const size = Buffer.alloc(4);
    size.writeUInt32BE(body.length);
    this.socket.write(Buffer.concat([Buffer.from("  V2IDENTIFY\n"), size, body, Buffer.from(`SUB ${topic} ${channel}\nRDY ${ready}\n`)]));
  }

  read(data) {
    this.pending = Buffer.concat([this.pending, data]);
    while (this.pending.length >= 4) {
      const size = this.pending.readUInt32BE(0);
      if (this.pending.length < 4 + size) return;
      const frame = this.pending.subarray(4, 4 + size);
      this.pending = this.pending.subarray(4 + size);
      const kind = frame.readUInt32BE(0);
      if (kind === 0 && frame.subarray(4).toString() === "_heartbeat_") this.socket.write("NOP\n");
      if (kind !== 2) continue;
      this.taken += 1;
      const command = this.answer(frame.subarray(14, 30).toString());
      if (command) this.socket.write(`${command}\n`);
    }
  }

  close() {
    this.socket.destroy();
  }
}

/** Publishes over TCP and stays connected, so that it shows as a producer. */
export class Producer {
  constructor(port, topic, identity = {}) {
    this.topic = topic;
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => {});
    this.socket.on("data", () => {});
    const body = Buffer.from(JSON.stringify({ client_id: "publisher", hostname: "publisher", user_agent: "browser-test/1", heartbeat_interval: -1, ...identity }));
    const size = Buffer.alloc(4);
    size.writeUInt32BE(body.length);
    this.socket.write(Buffer.concat([Buffer.from("  V2IDENTIFY\n"), size, body]));
  }

  publish(text) {
    const body = Buffer.from(text);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(body.length);
    this.socket.write(Buffer.concat([Buffer.from(`PUB ${this.topic}\n`), size, body]));
  }

  close() {
    this.socket.destroy();
  }
}
