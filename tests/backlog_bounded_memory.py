"""A backlog far larger than the cache costs disk, not memory; all of it comes out, and the disk is given back."""

import struct

from lib import wire
from lib.case import test
from lib.wire import Connection

MIB = 1 << 20
CACHE_BYTES = 32 * MIB
# The rest of the process: code, connections, buffers, and the book of what is where.
MEMORY_BYTES_MAX = CACHE_BYTES + 64 * MIB
SEGMENT_BYTES = 64 * MIB
# What an empty log keeps: the segment in use, the one before it, two spares, the reserve, one of compaction.
SEGMENTS_KEPT_MAX = 6

BODY_BYTES = 200
FILLER = bytes(range(192))
BATCH = 200
BATCHES_WAITING_MAX = 8
CREDIT = 2500
FRAME_BYTES = wire.MESSAGE_HEADER.size + BODY_BYTES


def publish_all(nsqd, topic, count):
    """Publishes bodies of a number and a filler, in batches with a few waiting for their OK."""
    item = wire.SIZE.pack(BODY_BYTES) + bytes(8) + FILLER
    items = bytearray(item * BATCH)
    head = b"MPUB %s\n" % topic.encode() + struct.pack(">II", 4 + len(items), BATCH)
    highest_bytes = 0
    with Connection(nsqd.address, within_s=60) as producer:
        for batch in range(count // BATCH):
            for index in range(BATCH):
                struct.pack_into(">Q", items, index * len(item) + 4, batch * BATCH + index)
            producer.send(head + items)
            if batch >= BATCHES_WAITING_MAX:
                producer.ok()
            if batch % 500 == 0:
                highest_bytes = max(highest_bytes, nsqd.memory_bytes())
        for _ in range(min(BATCHES_WAITING_MAX, count // BATCH)):
            producer.ok()
    return highest_bytes


def consume_all(nsqd, topic, channel, count):
    """Takes and finishes `count` messages, each number once. The inner loop is bare: it runs millions of times."""
    seen = bytearray(count)
    taken, rest = 0, b""
    with Connection(nsqd.address, within_s=60) as consumer:
        consumer.subscribe(topic, channel, CREDIT)
        while taken < count:
            data = rest + consumer.socket.recv(1 << 18)
            assert len(data) > len(rest), f"closed after {taken} messages"
            offset, answers = 0, []
            while len(data) - offset >= FRAME_BYTES:
                size, kind, _, attempts, message_id = wire.MESSAGE_HEADER.unpack_from(data, offset)
                if kind != wire.MESSAGE:
                    assert data[offset + 8:offset + 4 + size] == wire.HEARTBEAT, data[offset:offset + 100]
                    answers.append(b"NOP\n")
                    offset += 4 + size
                    continue
                body = data[offset + wire.MESSAGE_HEADER.size:offset + FRAME_BYTES]
                assert size + 4 == FRAME_BYTES and attempts == 1 and body[8:] == FILLER, data[offset:offset + FRAME_BYTES]
                number = int.from_bytes(body[:8], "big")
                assert not seen[number], f"number {number} came twice"
                seen[number] = 1
                answers.append(b"FIN %s\n" % message_id)
                taken += 1
                offset += FRAME_BYTES
            rest = data[offset:]
            if answers:
                consumer.send(b"".join(answers))
    assert all(seen), f"{seen.count(0)} numbers never came"


@test(timeout_s=240)
def a_backlog_of_two_million_costs_disk_and_not_memory(case):
    count = case.parameter("messages", 2_000_000)
    nsqd = case.nsqd(own=[f"--mem-cache-size={CACHE_BYTES}", "--cores=2", "--shards=1"])
    nsqd.create("backlog", "reader")

    publish_all(nsqd, "backlog", count)
    case.until("the channel holds all", lambda: nsqd.held("backlog", "reader") == count, within_s=30)
    filled_bytes = nsqd.disk_bytes()
    filled_memory_bytes = nsqd.memory_bytes("VmHWM")
    assert filled_bytes >= count * BODY_BYTES * 0.9, f"{filled_bytes} bytes on disk cannot hold the backlog"

    consume_all(nsqd, "backlog", "reader", count)
    case.until("the channel is empty", lambda: nsqd.held("backlog", "reader") == 0)
    highest_bytes = nsqd.memory_bytes("VmHWM")
    assert highest_bytes <= MEMORY_BYTES_MAX, f"{highest_bytes / MIB:.1f} MiB of memory at the highest"
    case.until(lambda: f"the log is given back: {nsqd.disk_bytes() / MIB:.0f} MiB of {filled_bytes / MIB:.0f} are used",
               lambda: nsqd.disk_bytes() <= SEGMENTS_KEPT_MAX * SEGMENT_BYTES, within_s=60)
    print(f"{count} messages; memory {filled_memory_bytes / MIB:.1f} MiB when filled, {highest_bytes / MIB:.1f} MiB highest; "
          f"disk {filled_bytes / MIB:.0f} MiB, then {nsqd.disk_bytes() / MIB:.0f} MiB")


@test(timeout_s=240)
def a_restart_over_a_backlog_keeps_memory_bounded(case):
    count = case.parameter("messages", 1_000_000)
    nsqd = case.nsqd(own=[f"--mem-cache-size={CACHE_BYTES}", "--cores=2", "--shards=1"])
    nsqd.create("backlog", "reader")
    publish_all(nsqd, "backlog", count)
    case.until("the channel holds all", lambda: nsqd.held("backlog", "reader") == count, within_s=30)
    assert nsqd.stop(within_s=60) == 0

    nsqd.spawn().wait_ready(within_s=60)
    assert nsqd.held("backlog", "reader") == count
    consume_all(nsqd, "backlog", "reader", count)
    case.until("the channel is empty", lambda: nsqd.held("backlog", "reader") == 0)
    highest_bytes = nsqd.memory_bytes("VmHWM")
    assert highest_bytes <= MEMORY_BYTES_MAX, f"{highest_bytes / MIB:.1f} MiB of memory at the highest"
    print(f"{count} messages; memory {highest_bytes / MIB:.1f} MiB highest")
