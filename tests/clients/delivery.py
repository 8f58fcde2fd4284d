"""Stock clients publish and consume by a direct address; first, as the introduction to NSQ describes it."""

import time

from clients.programs import LIBRARIES, Consumer, Publisher
from lib.case import test


def subscribed(case, nsqd, topic, channel, count=1):
    """Waits until the channel has that many consumers."""
    case.until(lambda: f"{count} consumers on {channel}: {nsqd.channel(topic, channel)}",
               lambda: (nsqd.channel(topic, channel) or {}).get("client_count") == count)


@test(timeout_s=60, variants=LIBRARIES)
def one_consumer_reads_two_nsqd(case, library):
    one, two = case.nsqd(), case.nsqd()
    Publisher(case, library, one).pub("clicks", "x", "y")
    Publisher(case, library, two).pub("clicks", "z")
    consumer = Consumer(case, library, "clicks", "archive", nsqd=[one, two])
    consumer.until_came(["x", "y", "z"])
    for nsqd in (one, two):
        case.until("all finished", lambda n=nsqd: n.channel("clicks", "archive") and n.held("clicks", "archive") == 0)
    consumer.assert_came(3)


@test(timeout_s=60, variants=LIBRARIES)
def consumers_share_a_channel_and_channels_get_copies(case, library):
    nsqd = case.nsqd()
    nsqd.create("readings", "sensor01", "sensor02")
    shared = [Consumer(case, library, "readings", "sensor01", nsqd=[nsqd], max_in_flight=5) for _ in range(2)]
    alone = Consumer(case, library, "readings", "sensor02", nsqd=[nsqd])
    subscribed(case, nsqd, "readings", "sensor01", 2)
    subscribed(case, nsqd, "readings", "sensor02", 1)
    wanted = [f"reading {n}" for n in range(300)]
    Publisher(case, library, nsqd).pub("readings", *wanted)

    alone.until_came(wanted)
    case.until("the sharing ones got all", lambda: set(wanted) <= shared[0].bodies.keys() | shared[1].bodies.keys())
    case.until("all finished", lambda: nsqd.held("readings", "sensor01") == nsqd.held("readings", "sensor02") == 0)
    alone.assert_came(300)
    together = shared[0].bodies + shared[1].bodies
    assert len(shared[0].came) + len(shared[1].came) == len(together) == 300, together.most_common(3)
    assert all(consumer.bodies for consumer in shared), "one of two consumers got nothing"


@test(timeout_s=90, variants=LIBRARIES)
def every_way_to_publish_arrives_once(case, library):
    delay_ms = 1500
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    consumer = Consumer(case, library, "orders", "bill", nsqd=[nsqd], max_in_flight=100)
    subscribed(case, nsqd, "orders", "bill")
    publisher = Publisher(case, library, nsqd)
    singles = [f"single {n}" for n in range(400)]
    batches = [[f"batch {n} {m}" for m in range(25)] for n in range(16)]
    deferred = [f"deferred {n}" for n in range(50)]
    sent_at = time.time()
    publisher.dpub("orders", delay_ms, *deferred)
    publisher.pub("orders", *singles)
    for batch in batches:
        publisher.mpub("orders", batch)

    wanted = singles + [body for batch in batches for body in batch] + deferred
    consumer.until_came(wanted, within_s=40)
    case.until("all finished", lambda: nsqd.held("orders", "bill") == 0)
    consumer.assert_came(len(wanted))
    assert all(attempts == 1 for _, attempts, _ in consumer.came)
    early = [body for body, _, at in consumer.came if body.startswith("deferred") and at < sent_at + delay_ms / 1000]
    assert not early, f"before their time: {early[:5]}"
    publisher.stop()
    consumer.stop()


@test(timeout_s=90, variants=LIBRARIES)
def a_requeued_message_comes_again_with_more_attempts(case, library):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    plain = [f"plain {n}" for n in range(200)]
    again = [f"requeue 2 {n}" for n in range(5)]
    Publisher(case, library, nsqd).pub("orders", *again, *plain)
    consumer = Consumer(case, library, "orders", "bill", nsqd=[nsqd])
    consumer.until_came([*plain, *again], within_s=40)
    case.until(lambda: f"all finished: {nsqd.channel('orders', 'bill')}", lambda: nsqd.held("orders", "bill") == 0, within_s=40)
    for body in again:
        assert consumer.attempts_of(body) == [1, 2, 3], (body, consumer.attempts_of(body))
    assert nsqd.channel("orders", "bill")["requeue_count"] == 2 * len(again)
    assert nsqd.channel("orders", "bill")["timeout_count"] == 0
    consumer.stop()


@test(timeout_s=90, variants=LIBRARIES)
def a_touched_message_does_not_time_out(case, library):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    Publisher(case, library, nsqd).pub("orders", "touch 4 slow", "fast")
    started = time.monotonic()
    consumer = Consumer(case, library, "orders", "bill", nsqd=[nsqd], msg_timeout_ms=1000)
    consumer.until_came(["touch 4 slow", "fast"])
    case.until("all finished", lambda: nsqd.held("orders", "bill") == 0, within_s=20)
    assert time.monotonic() - started >= 2.0, "finished before it was touched four times"
    assert consumer.attempts_of("touch 4 slow") == [1], consumer.came
    assert nsqd.channel("orders", "bill")["timeout_count"] == 0


@test(timeout_s=60, variants=LIBRARIES)
def a_message_of_a_killed_consumer_comes_to_another(case, library):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    Publisher(case, library, nsqd).pub("orders", "touch 1000 held for long")
    first = Consumer(case, library, "orders", "bill", nsqd=[nsqd], msg_timeout_ms=1000)
    first.until_came(["touch 1000 held for long"])
    first.kill()
    second = Consumer(case, library, "orders", "bill", nsqd=[nsqd], msg_timeout_ms=1000)
    second.until_came(["touch 1000 held for long"])
    assert second.attempts_of("touch 1000 held for long")[0] == 2, second.came


@test(timeout_s=60, variants=LIBRARIES)
def bodies_of_any_size_arrive_unaltered(case, library):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    sizes = [1, 2, 100, 4095, 4096, 4097, 16_384, 65_536, 300_000, 1_000_000]
    bodies = ["".join(case.random.choices("abcdefghijklmnopqrstuvwxyz é€", k=size)) for size in sizes]
    bodies = [body.strip() or "x" for body in bodies]
    bodies = [body.encode()[:1_048_576].decode(errors="ignore") for body in bodies]
    publisher = Publisher(case, library, nsqd)
    publisher.pub("orders", *bodies)
    publisher.mpub("orders", bodies[:-1])
    consumer = Consumer(case, library, "orders", "bill", nsqd=[nsqd])
    consumer.until_came(bodies)
    case.until("all finished", lambda: nsqd.held("orders", "bill") == 0)
    consumer.assert_came(2 * len(bodies) - 1)
