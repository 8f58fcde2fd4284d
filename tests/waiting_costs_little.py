"""What waits for long, deferred or in a paused channel, costs its own bytes: on disk, in memory, and nobody else's."""

import struct

from lib import wire
from lib.case import test
from lib.wire import Connection

MIB = 1 << 20
HOUR_MS = 3_600_000
SEGMENT_BYTES = 64 * MIB
# The segment with what waits, the one in use, the next one, a spare, and three small files of the reserve.
KEPT_BYTES_MAX = 4 * SEGMENT_BYTES + 16 * MIB


def drain(nsqd, topic, channel, count, body_bytes, batch=40):
    """Publishes `count` messages and finishes them as they come."""
    body = b"x" * body_bytes
    with Connection(nsqd.address, within_s=60) as producer, Connection(nsqd.address, within_s=60) as consumer:
        consumer.subscribe(topic, channel, 2000)
        taken = 0
        for _ in range(count // batch):
            producer.publish_many(topic, [body] * batch)
            while taken < count and consumer.has_frame():
                message = consumer.message()
                consumer.finish(message)
                taken += 1
        while taken < count // batch * batch:
            consumer.finish(consumer.message())
            taken += 1


@test(timeout_s=200, beyond_nsq=True)
def one_deferred_message_keeps_its_own_segment_and_no_other(case):
    count = case.parameter("megabytes", 800)
    nsqd = case.nsqd(own=["--shards=1", "--cores=1"])
    nsqd.create("work", "reader")
    with Connection(nsqd.address) as producer:
        producer.publish_deferred("work", 50 * 60_000, b"later")
    drain(nsqd, "work", "reader", count * 10, 100_000)
    case.until("only the deferred message is left", lambda: nsqd.held("work", "reader") <= 1, within_s=30)
    case.until(lambda: f"{nsqd.disk_bytes() / MIB:.0f} MiB for one message", lambda: nsqd.disk_bytes() <= KEPT_BYTES_MAX,
               within_s=30)
    print(f"{count} MB passed one deferred message: {nsqd.disk_bytes() / MIB:.0f} MiB on disk")


@test(timeout_s=200, beyond_nsq=True)
def small_messages_of_a_paused_channel_do_not_keep_the_memory_of_what_passes_by(case):
    rounds = case.parameter("rounds", 120)
    cache_bytes = 64 * MIB
    nsqd = case.nsqd(own=["--shards=1", "--cores=1", f"--mem-cache-size={cache_bytes}"])
    nsqd.create("busy", "reader")
    nsqd.create("slow", "paused")
    nsqd.post("/channel/pause", topic="slow", channel="paused")
    idle_bytes = nsqd.memory_bytes()
    for _ in range(rounds):
        # Ten megabytes pass, with a few small messages in between.
        with Connection(nsqd.address) as producer:
            for number in range(10):
                producer.publish("slow", struct.pack(">I", number) * 25)
        drain(nsqd, "busy", "reader", 100, 100_000, batch=10)
    highest_bytes = nsqd.memory_bytes("VmHWM")
    print(f"{rounds * 10} MB passed {rounds * 10} small ones: {idle_bytes / MIB:.1f} MiB idle, {highest_bytes / MIB:.1f} highest")
    assert highest_bytes <= cache_bytes + idle_bytes + 32 * MIB


@test(timeout_s=200, beyond_nsq=True)
def messages_that_are_deferred_for_an_hour_cost_their_place_in_time(case):
    count = case.parameter("messages", 600_000)
    nsqd = case.nsqd(own=["--shards=1", "--cores=1"])
    nsqd.create("later", "reader")
    window = 2000
    command = wire.publish_deferred("later", HOUR_MS, b"x" * 200)
    with Connection(nsqd.address, within_s=60) as producer:
        waiting = 0
        for _ in range(count // window):
            producer.send(command * window)
            waiting += window
            if waiting > window:
                for _ in range(window):
                    producer.ok()
                waiting -= window
        for _ in range(waiting):
            producer.ok()
    case.until("all are deferred", lambda: nsqd.channel("later", "reader")["deferred_count"] == count, within_s=30)
    memory_bytes = nsqd.memory_bytes()
    print(f"{count} deferred by an hour: {memory_bytes / MIB:.1f} MiB resident, {memory_bytes / count:.0f} bytes each")
    # What an idle broker has is in it. Far from the 96 bytes that an index needs; resident copies were 480 and more.
    assert memory_bytes <= 32 * MIB + 256 * count
