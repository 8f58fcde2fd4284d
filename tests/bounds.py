"""What a client can make the daemon keep is bounded in bytes, and nobody else is hindered.

The bounds are those of docs/limits.md. Each test drives a daemon well beyond what one of them allows.
"""

import socket
import struct
import threading
import time

from lib.case import test
from lib.wire import Connection, MAGIC, SIZE, publish

MIB = 1 << 20
# What a daemon may need besides: buffers of its rings, log segments, the allocator's slack.
SLACK_BYTES = 24 * MIB
CORES = ["--cores=2"]


class Flood:
    """Sends the same bytes again and again and never reads, until the daemon stops reading or the time is over."""

    def __init__(self, case, address, first, chunk):
        self.socket = socket.create_connection(address, timeout=10.0)
        self.socket.sendall(MAGIC + first)
        self.socket.setblocking(False)
        self.chunk, self.sent, self.offset = chunk, 0, 0
        case.on_close(self.socket.close)

    def run(self, seconds, stuck_s):
        """True once nothing was taken for `stuck_s`; False after `seconds`."""
        deadline = time.monotonic() + seconds
        progress = time.monotonic()
        while time.monotonic() < deadline:
            try:
                taken = self.socket.send(self.chunk[self.offset:])
                self.sent += taken
                self.offset = (self.offset + taken) % len(self.chunk)
                progress = time.monotonic()
            except BlockingIOError:
                if time.monotonic() - progress > stuck_s:
                    return True
                time.sleep(0.005)
        return False


def growth(nsqd, before):
    return nsqd.memory_bytes("VmHWM") - before


def assert_bounded(nsqd, before, bound, what):
    grown = growth(nsqd, before)
    print(f"{what}: +{grown / MIB:.1f} MiB")
    assert grown < bound, f"{what}: +{grown / MIB:.1f} MiB, at most {bound / MIB:.0f} expected"


def assert_served(case, nsqd):
    """Somebody else publishes and consumes meanwhile."""
    producer, consumer = Connection(nsqd.address), Connection(nsqd.address)
    case.on_close(producer.close)
    case.on_close(consumer.close)
    consumer.subscribe("others", "channel", credit=1)
    started = time.monotonic()
    producer.publish("others", b"x")
    consumer.finish(consumer.message())
    print(f"others are served in {1000 * (time.monotonic() - started):.0f} ms")


@test(timeout_s=60)
def a_client_that_identifies_again_and_again_and_never_reads_is_not_read(case):
    nsqd = case.nsqd(own=CORES)
    before = nsqd.memory_bytes()
    body = b'{"feature_negotiation":true,"heartbeat_interval":-1}'
    identify = b"IDENTIFY\n" + SIZE.pack(len(body)) + body
    flood = Flood(case, nsqd.address, b"", identify * 1000)
    assert flood.run(seconds=20.0, stuck_s=1.0), f"{flood.sent} bytes were taken from a client that does not read"
    assert_bounded(nsqd, before, 4 * MIB + SLACK_BYTES, "an IDENTIFY flood")
    assert_served(case, nsqd)


@test(timeout_s=60)
def a_producer_that_never_reads_its_answers_is_not_read(case):
    nsqd = case.nsqd("--mem-queue-size=1", own=CORES + ["--mem-cache-size=16MiB"])
    publisher = Connection(nsqd.address)
    case.on_close(publisher.close)
    publisher.publish("t", b"x")
    before = nsqd.memory_bytes()
    flood = Flood(case, nsqd.address, b"", publish("t", b"x") * 4000)
    assert flood.run(seconds=40.0, stuck_s=2.0), f"{flood.sent} bytes were taken from a producer that does not read"
    assert_bounded(nsqd, before, 16 * MIB + 4 * MIB + 2 * SLACK_BYTES, "a producer of one-byte messages")
    assert_served(case, nsqd)


@test(timeout_s=120, beyond_nsq=True)
def consumers_that_do_not_read_cost_their_room_and_not_their_credit(case):
    cache, consumers = 64 * MIB, 20
    nsqd = case.nsqd(own=CORES + ["--mem-cache-size=64MiB"])
    producer = Connection(nsqd.address)
    case.on_close(producer.close)
    connections = []
    for n in range(consumers):
        consumer = Connection(nsqd.address)
        case.on_close(consumer.close)
        consumer.subscribe("t", f"channel{n}")
        connections.append(consumer)
    before = nsqd.memory_bytes()
    bodies = [bytes(50_000)] * 20
    for _ in range(28):  # Less than the cache of one core, so that all of it can be dealt at once.
        producer.publish_many("t", bodies)
    for consumer in connections:
        consumer.credit(2500)
    in_flight = lambda n: nsqd.channel("t", f"channel{n}")["in_flight_count"]
    case.until("everybody is given something", lambda: all(in_flight(n) for n in range(consumers)))
    room = consumers * (256 * 1024 + 50_034)
    assert_bounded(nsqd, before, cache + room + 2 * SLACK_BYTES, "20 consumers of 28 MB that do not read")
    assert_served(case, nsqd)


@test(timeout_s=120, beyond_nsq=True)
def unfinished_commands_of_many_clients_are_bounded_together(case):
    nsqd = case.nsqd(own=CORES)
    before = nsqd.memory_bytes()
    command = publish("t", bytes(1_000_000))[:-1]
    clients = []
    for _ in range(600):
        client = socket.create_connection(nsqd.address, timeout=10.0)
        client.sendall(MAGIC)
        client.setblocking(False)
        case.on_close(client.close)
        clients.append([client, 0])
    progress = time.monotonic()
    while time.monotonic() - progress < 1.5 and any(sent < len(command) for _, sent in clients):
        for entry in clients:
            try:
                taken = entry[0].send(command[entry[1]:entry[1] + 65536]) if entry[1] < len(command) else 0
                entry[1] += taken
                progress = time.monotonic() if taken else progress
            except BlockingIOError:
                pass
    complete = sum(sent == len(command) for _, sent in clients)
    print(f"{complete} of 600 commands were read but for their last byte")
    # On each core what may be in receipt, and for each client that is not read what was under way.
    assert_bounded(nsqd, before, 2 * 64 * MIB + 600 * 192 * 1024 + SLACK_BYTES, "600 unfinished commands")
    assert_served(case, nsqd)
    # Those that were read complete and are answered, and make room for others: in the end everybody was served.
    deadline = time.monotonic() + 60.0
    whole = command + b"\0"
    answered = 0
    waiting = {entry[0].fileno(): entry for entry in clients}
    received = {fd: b"" for fd in waiting}
    while waiting and time.monotonic() < deadline:
        for fd, entry in list(waiting.items()):
            client = entry[0]
            try:
                if entry[1] < len(whole):
                    entry[1] += client.send(whole[entry[1]:entry[1] + 262144])
                received[fd] += client.recv(64)
            except BlockingIOError:
                continue
            if received[fd]:
                assert received[fd].startswith(struct.pack(">II", 6, 0) + b"OK"[: len(received[fd]) - 8]), received[fd]
                answered += 1
                del waiting[fd]
    assert answered == 600, f"{answered} of 600 publishes were answered"


@test(timeout_s=90)
def a_stop_after_thousands_of_short_connections_is_at_once(case):
    nsqd = case.nsqd(own=CORES)
    idle = nsqd.socket_count() + 2  # A request for /ping may be under way.
    reset = struct.pack("ii", 1, 0)

    def connect(count, salt):
        for n in range(count):
            client = socket.create_connection(nsqd.address, timeout=10.0)
            client.sendall(MAGIC + publish(f"t{(n + salt) % 7}", b"x"))
            if n % 3 == 0:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)  # Closing sends a reset.
            elif n % 3 == 1:
                client.recv(64)
            client.close()

    threads = [threading.Thread(target=connect, args=(1500, salt)) for salt in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    case.until("every connection is gone", lambda: nsqd.socket_count() <= idle, within_s=10.0)
    started = time.monotonic()
    assert nsqd.stop() == 0
    took = time.monotonic() - started
    print(f"stopped in {1000 * took:.0f} ms")
    assert took < 0.9, f"the stop took {took:.2f} s: it has waited for connections that are gone"
