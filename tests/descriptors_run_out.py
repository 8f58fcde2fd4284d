"""Out of descriptors the broker goes on: the log is written, who is connected is served, and who is not waits."""

import os
import resource
import socket

from lib import http
from lib.case import test
from lib.wire import Connection

# Small, so that the flood is quick; several times what the daemon needs for itself.
DESCRIPTORS_MAX = 256
FLOOD = 400
DESCRIPTORS_KEPT = 32
SEGMENT_BYTES = 4 << 20
BODY_BYTES = 100_000
ROLLS = 8
SHORTAGE = "temporary Accept() failure - too many open files"


def descriptors(nsqd):
    return len(os.listdir(f"/proc/{nsqd.process.pid}/fd"))


def segments(nsqd):
    return {os.path.join(folder, name) for folder, _, names in os.walk(nsqd.data_path) for name in names}


def flood(case, nsqd):
    """More connections than there are descriptors. They say nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = []
    for _ in range(FLOOD):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(nsqd.address)
        crowd.append(client)
    case.on_close(lambda: [client.close() for client in crowd])
    return crowd


@test(timeout_s=120, variants=("ring", "glommio"), beyond_nsq=True)
def a_flood_of_connections_leaves_the_log_its_descriptors(case, transport):
    nsqd = case.nsqd(f"--max-bytes-per-file={SEGMENT_BYTES}", own=["--cores=2", f"--transport={transport}"])
    resource.prlimit(nsqd.process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS_MAX, DESCRIPTORS_MAX))
    producer, consumer = Connection(nsqd.address), Connection(nsqd.address)
    case.on_close(producer.close)
    case.on_close(consumer.close)
    consumer.subscribe("topic", "channel", credit=1)

    crowd = flood(case, nsqd)
    case.until("the shortage is told", lambda: SHORTAGE in nsqd.log_text())

    # The connections in place go on, while the log moves from segment to segment.
    seen = segments(nsqd)
    rolls = 0
    for number in range(2 * ROLLS * SEGMENT_BYTES // BODY_BYTES):
        body = number.to_bytes(4, "big") * (BODY_BYTES // 4)
        producer.publish("topic", body)
        message = consumer.message()
        assert message.body == body, number
        consumer.finish(message)
        now = segments(nsqd)
        rolls, seen = rolls + len(now - seen), seen | now
        assert descriptors(nsqd) <= DESCRIPTORS_MAX - DESCRIPTORS_KEPT // 2, descriptors(nsqd)
        if rolls >= ROLLS and number * BODY_BYTES >= 4 * SEGMENT_BYTES:
            break
    assert rolls >= ROLLS, f"{rolls} new segments"
    assert http.answers_ping(nsqd.http_address), "operators get in as well"
    told = nsqd.log_text().count(SHORTAGE)
    assert told == 1, f"told {told} times"
    print(f"{descriptors(nsqd)} of {DESCRIPTORS_MAX} descriptors in use, {rolls} new segments")

    # With the crowd gone there is room again.
    for client in crowd:
        client.close()

    def is_served():
        try:
            with Connection(nsqd.address, within_s=1.0) as late:
                late.publish("topic", b"late")
                return True
        except (OSError, AssertionError):
            return False

    case.until("a new client is served", is_served, within_s=30.0)
    assert nsqd.stop() == 0
