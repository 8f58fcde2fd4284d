"""A raw NSQ client: bytes as they are on the wire, with no cleverness that could hide a fault.

One `Connection` is one blocking socket used by one thread. It answers heartbeats while it waits for something else.
"""

import json
import socket
import struct
import time
from typing import NamedTuple

MAGIC = b"  V2"
RESPONSE, ERROR, MESSAGE = 0, 1, 2
HEARTBEAT = b"_heartbeat_"

# Of a message frame: size, type, timestamp, attempts, id; then the body.
MESSAGE_HEADER = struct.Struct(">IIqH16s")
FRAME_HEADER = struct.Struct(">II")
SIZE = struct.Struct(">I")

# More than any body limit in use; a larger size means that we have lost the frame boundary.
FRAME_SIZE_MAX = 64 << 20


class Refused(Exception):
    """The daemon answered with an error frame."""


class Closed(OSError):
    """The daemon closed the connection."""


class Message(NamedTuple):
    """One delivery."""

    id: bytes
    attempts: int
    published_at_ns: int
    body: bytes


def publish(topic, body):
    return b"PUB %s\n" % topic.encode() + SIZE.pack(len(body)) + body


def publish_deferred(topic, delay_ms, body):
    return b"DPUB %s %d\n" % (topic.encode(), delay_ms) + SIZE.pack(len(body)) + body


def publish_many(topic, bodies):
    items = b"".join(SIZE.pack(len(body)) + body for body in bodies)
    return b"MPUB %s\n" % topic.encode() + struct.pack(">II", 4 + len(items), len(bodies)) + items


class Connection:
    """A V2 connection. `within_s` bounds every wait; when it passes, `TimeoutError` is raised."""

    def __init__(self, address, within_s=10.0):
        self.within_s = within_s
        self.socket = socket.create_connection(address, timeout=within_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self.send(MAGIC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.settimeout(self.within_s)
        self.socket.sendall(data)

    # -- receiving -------------------------------------------------------------------------------
    def _fill(self, size, deadline):
        while len(self._received) < size:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("no complete frame in time")
            self.socket.settimeout(left_s)
            try:
                data = self.socket.recv(1 << 18)
            except socket.timeout as error:
                raise TimeoutError("no complete frame in time") from error
            if not data:
                raise Closed("closed by the daemon after %d bytes of a frame" % len(self._received))
            self._received += data

    def frame(self, within_s=None):
        """The next frame as (type, data). Heartbeats are answered and passed over."""
        deadline = time.monotonic() + (self.within_s if within_s is None else within_s)
        while True:
            self._fill(FRAME_HEADER.size, deadline)
            size, kind = FRAME_HEADER.unpack_from(self._received)
            if not 4 <= size <= FRAME_SIZE_MAX:
                raise AssertionError(f"a frame of {size} bytes: {bytes(self._received[:64])!r}")
            self._fill(4 + size, deadline)
            data = bytes(self._received[FRAME_HEADER.size:4 + size])
            del self._received[:4 + size]
            if kind == RESPONSE and data == HEARTBEAT:
                self.send(b"NOP\n")
                continue
            return kind, data

    def response(self, within_s=None):
        """The data of the next frame, which must be a response. An error frame raises `Refused`."""
        kind, data = self.frame(within_s)
        if kind == ERROR:
            raise Refused(data.decode("utf-8", "replace"))
        if kind != RESPONSE:
            raise AssertionError(f"a frame of type {kind} where a response was due: {data[:80]!r}")
        return data

    def ok(self, within_s=None):
        data = self.response(within_s)
        if data != b"OK":
            raise AssertionError(f"{data[:80]!r} where OK was due")

    def message(self, within_s=None):
        """The next message. An error frame raises `Refused`."""
        kind, data = self.frame(within_s)
        if kind == ERROR:
            raise Refused(data.decode("utf-8", "replace"))
        if kind != MESSAGE:
            raise AssertionError(f"a frame of type {kind} where a message was due: {data[:80]!r}")
        return parse_message(data)

    def has_frame(self, within_s=0.0):
        """Whether the first bytes of a frame arrive in time."""
        try:
            self._fill(1, time.monotonic() + max(within_s, 0.001))
            return True
        except TimeoutError:
            return False

    # -- commands --------------------------------------------------------------------------------
    def identify(self, **settings):
        body = json.dumps({"feature_negotiation": True, **settings}).encode()
        self.send(b"IDENTIFY\n" + SIZE.pack(len(body)) + body)
        return json.loads(self.response())

    def subscribe(self, topic, channel, credit=0):
        self.send(b"SUB %s %s\n" % (topic.encode(), channel.encode()))
        self.ok()
        if credit:
            self.credit(credit)

    def credit(self, count):
        self.send(b"RDY %d\n" % count)

    def publish(self, topic, body):
        self.send(publish(topic, body))
        self.ok()

    def publish_many(self, topic, bodies):
        self.send(publish_many(topic, bodies))
        self.ok()

    def publish_deferred(self, topic, delay_ms, body):
        self.send(publish_deferred(topic, delay_ms, body))
        self.ok()

    def finish(self, message):
        self.send(b"FIN %s\n" % message.id)

    def requeue(self, message, delay_ms=0):
        self.send(b"REQ %s %d\n" % (message.id, delay_ms))

    def touch(self, message):
        self.send(b"TOUCH %s\n" % message.id)


def parse_message(data):
    published_at_ns, attempts, message_id = struct.unpack_from(">qH16s", data)
    return Message(message_id, attempts, published_at_ns, data[26:])
