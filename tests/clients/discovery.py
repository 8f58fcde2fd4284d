"""Stock clients find producers through nsqlookupd, also when topics, nodes and nsqlookupd itself come and go."""

from clients.programs import LIBRARIES, Consumer, Publisher
from lib import http
from lib.case import test

# pynsq connects to an address at most once in ten seconds.
RECONNECT_WITHIN_S = 40.0
TOMBSTONE_LIFETIME_S = 6


def joined(case, nsqd, topic, *lookupds):
    """Waits until each nsqlookupd names the node as a producer of the topic."""
    for lookupd in lookupds:
        case.until(lambda: f"{lookupd} names {nsqd} for {topic}: {lookupd.producers(topic)}",
                   lambda d=lookupd: nsqd.address[1] in d.producers(topic))


def node(case, *lookupds):
    return case.nsqd(*(f"--lookupd-tcp-address={lookupd.tcp_port}" for lookupd in lookupds))


def consumers(nsqd, topic, channel):
    return (nsqd.channel(topic, channel) or {}).get("client_count", 0)


@test(timeout_s=60, variants=LIBRARIES)
def a_consumer_finds_every_producer(case, library):
    lookupd = case.nsqlookupd()
    nodes = [node(case, lookupd) for _ in range(2)]
    wanted = []
    for index, nsqd in enumerate(nodes):
        bodies = [f"node {index} {n}" for n in range(100)]
        Publisher(case, library, nsqd).pub("orders", *bodies)
        joined(case, nsqd, "orders", lookupd)
        wanted += bodies
    consumer = Consumer(case, library, "orders", "bill", lookupd=[lookupd])
    consumer.until_came(wanted)
    for nsqd in nodes:
        case.until("all finished", lambda n=nsqd: n.held("orders", "bill") == 0)
    consumer.assert_came(len(wanted))


@test(timeout_s=60, variants=LIBRARIES)
def a_topic_that_comes_later_is_found(case, library):
    lookupd = case.nsqlookupd()
    nsqd = node(case, lookupd)
    consumer = Consumer(case, library, "later", "bill", lookupd=[lookupd])
    case.until("the consumer asked for the topic", lambda: "/lookup?topic=later" in lookupd.log_text())
    bodies = [f"later {n}" for n in range(50)]
    Publisher(case, library, nsqd).pub("later", *bodies)
    consumer.until_came(bodies)


@test(timeout_s=60, variants=LIBRARIES)
def a_channel_known_to_nsqlookupd_gets_a_topics_first_messages(case, library):
    # The channel exists on one node only; a topic that is new on another node is given the channel before its first
    # message is forwarded, so that nothing is lost for a consumer that arrives a moment later.
    lookupd = case.nsqlookupd()
    one, two = node(case, lookupd), node(case, lookupd)
    one.create("orders", "bill")
    joined(case, one, "orders", lookupd)
    case.until("the channel is known", lambda: "bill" in http.get_json(
        lookupd.http_address, "/channels", topic="orders")["channels"])
    bodies = [f"first {n}" for n in range(20)]
    Publisher(case, library, two).pub("orders", *bodies)
    case.until("the channel holds all", lambda: two.held("orders", "bill") == 20)
    consumer = Consumer(case, library, "orders", "bill", lookupd=[lookupd])
    consumer.until_came(bodies)


@test(timeout_s=120, variants=LIBRARIES)
def a_node_that_dies_is_forgotten_and_found_again(case, library):
    lookupd = case.nsqlookupd()
    stays, dies = node(case, lookupd), node(case, lookupd)
    for nsqd in (stays, dies):
        nsqd.create("orders", "bill")
        joined(case, nsqd, "orders", lookupd)
    consumer = Consumer(case, library, "orders", "bill", lookupd=[lookupd])
    for nsqd in (stays, dies):
        case.until("the consumer is connected", lambda n=nsqd: consumers(n, "orders", "bill") == 1)

    dies.kill()
    case.until("the dead node is forgotten", lambda: lookupd.producers("orders") == {stays.address[1]})
    Publisher(case, library, stays).pub("orders", "meanwhile 1", "meanwhile 2")
    consumer.until_came(["meanwhile 1", "meanwhile 2"])

    dies.start()
    joined(case, dies, "orders", lookupd)
    Publisher(case, library, dies).pub("orders", "back 1", "back 2")
    consumer.until_came(["back 1", "back 2"], RECONNECT_WITHIN_S)


@test(timeout_s=90, variants=LIBRARIES)
def a_tombstoned_producer_is_left_alone_until_its_time_is_over(case, library):
    lookupd = case.nsqlookupd(f"--tombstone-lifetime={TOMBSTONE_LIFETIME_S}s")
    stays, buried = node(case, lookupd), node(case, lookupd)
    for nsqd in (stays, buried):
        nsqd.create("orders", "bill")
        joined(case, nsqd, "orders", lookupd)
        Publisher(case, library, nsqd).pub("orders", f"from {'stays' if nsqd is stays else 'buried'}")
    http.post(lookupd.http_address, "/topic/tombstone", topic="orders", node="%s:%d" % buried.http_address)
    assert lookupd.producers("orders") == {stays.address[1]}, lookupd.producers("orders")

    consumer = Consumer(case, library, "orders", "bill", lookupd=[lookupd])
    consumer.until_came(["from stays"])
    assert "from buried" not in consumer.bodies and consumers(buried, "orders", "bill") == 0
    joined(case, buried, "orders", lookupd)
    consumer.until_came(["from buried"])


@test(timeout_s=120, variants=LIBRARIES)
def two_nsqlookupd_of_which_one_restarts(case, library):
    one, two = case.nsqlookupd(), case.nsqlookupd()
    nsqd = node(case, one, two)
    nsqd.create("before", "bill")
    joined(case, nsqd, "before", one, two)
    first = Consumer(case, library, "before", "bill", lookupd=[one, two])
    publisher = Publisher(case, library, nsqd)
    publisher.pub("before", "before the stop")
    first.until_came(["before the stop"])

    assert one.stop() == 0
    # The connection to the node is untouched, and a new topic is found through the other.
    publisher.pub("before", "while it is down")
    first.until_came(["while it is down"])
    publisher.pub("during", "a new topic")
    joined(case, nsqd, "during", two)
    second = Consumer(case, library, "during", "bill", lookupd=[one, two])
    second.until_came(["a new topic"])

    # The node comes back to it by itself, with the topics that came meanwhile. NSQ's nsqd does so at its next ping.
    one.start()
    case.until("it knows both topics", lambda: one.producers("before") == one.producers("during") == {nsqd.address[1]},
               within_s=30)
    assert two.stop() == 0
    publisher.pub("after", "found by the restarted one")
    joined(case, nsqd, "after", one)
    third = Consumer(case, library, "after", "bill", lookupd=[one])
    third.until_came(["found by the restarted one"])
