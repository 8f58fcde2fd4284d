"""The test client on pynsq; README.md has the contract. Run by the virtual environment that has pynsq."""

import asyncio
import json
import os
import sys

TOUCH_SHARE = 0.5
REQUEUE_DELAY_MS = 20
MAX_BACKOFF_S = 0.4
LOOKUPD_POLL_S = 1


def say(**event):
    print(json.dumps(event), flush=True)


async def lines():
    """Lines of the standard input, read in a thread so that the event loop goes on."""
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        yield line


async def publish(address):
    writer = nsq.Writer([address])
    while not any(connection.connected() for connection in writer.conns.values()):
        await asyncio.sleep(0.005)
    loop = asyncio.get_running_loop()
    async for line in lines():
        command = json.loads(line)
        answer = loop.create_future()

        def answered(_, data, answer=answer):
            answer.set_result(data)

        topic = command["topic"]
        if command["op"] == "pub":
            writer.pub(topic, command["body"].encode(), answered)
        elif command["op"] == "mpub":
            writer.mpub(topic, [body.encode() for body in command["bodies"]], answered)
        else:
            writer.dpub(topic, command["delay_ms"], command["body"].encode(), answered)
        data = await answer
        if data == b"OK":
            say(ok=True)
        else:
            say(error=str(data))


async def consume(settings):
    def handle(message):
        body = message.body.decode()
        say(body=body, attempts=message.attempts)
        words = body.split()
        if words[0] == "requeue" and message.attempts <= int(words[1]):
            message.enable_async()
            message.requeue(backoff=True, time_ms=REQUEUE_DELAY_MS)
            return None
        if words[0] == "touch":
            message.enable_async()
            asyncio.ensure_future(touch(message, int(words[1])))
            return None
        return True

    async def touch(message, times):
        for _ in range(times):
            await asyncio.sleep(settings["msg_timeout_ms"] / 1000 * TOUCH_SHARE)
            message.touch()
        message.finish()

    reader = nsq.Reader(
        topic=settings["topic"], channel=settings["channel"], message_handler=handle,
        nsqd_tcp_addresses=settings["nsqd"], lookupd_http_addresses=settings["lookupd"],
        lookupd_poll_interval=LOOKUPD_POLL_S, lookupd_poll_jitter=0.0, max_in_flight=settings["max_in_flight"],
        max_tries=0, max_backoff_duration=MAX_BACKOFF_S, msg_timeout=settings["msg_timeout_ms"] / 1000)
    async for _ in lines():
        pass
    reader.close()


if __name__ == "__main__":
    import nsq

    run = publish(sys.argv[2]) if sys.argv[1] == "publish" else consume(json.loads(sys.argv[2]))
    asyncio.run(run)
    sys.stdout.flush()
    os._exit(0)  # pynsq goes on reconnecting; nothing of ours is left to do.
