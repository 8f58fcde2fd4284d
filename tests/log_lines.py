"""The log says what an operator looks for, in NSQ's words, and a peer cannot flood it."""

import os
import re
import resource
import socket
import struct
from http.client import HTTPConnection

from lib import http
from lib.case import test
from lib.wire import Connection


def has_line(nsqd, level, pattern):
    return re.search(rf"^\[nsqd\] \S+ \S+ {level}: {pattern}$", nsqd.log_text(), re.M)


def expect(case, nsqd, level, *patterns):
    for pattern in patterns:
        case.until(f"{level}: {pattern}", lambda p=pattern: has_line(nsqd, level, p))


@test()
def what_happens_to_topics_and_channels(case):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    expect(case, nsqd, "INFO", r"TOPIC\(orders\): created", r"TOPIC\(orders\): new channel\(bill\)")
    with Connection(nsqd.address) as client:
        client.publish("auto", b"x")
        client.subscribe("auto", "gone#ephemeral")
    expect(case, nsqd, "INFO", r"TOPIC\(auto\): created", r"TOPIC\(auto\): new channel\(gone#ephemeral\)",
           r"TOPIC\(auto\): deleting channel gone#ephemeral")
    nsqd.post("/channel/delete", topic="orders", channel="bill")
    expect(case, nsqd, "INFO", r"TOPIC\(orders\): deleting channel bill")
    nsqd.post("/topic/delete", topic="orders")
    expect(case, nsqd, "INFO", r"TOPIC\(orders\): deleting")


@test(beyond_nsq=True)
def what_an_operator_does_to_topics_and_channels(case):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    for action in ("pause", "unpause", "empty"):
        nsqd.post(f"/topic/{action}", topic="orders")
        nsqd.post(f"/channel/{action}", topic="orders", channel="bill")
    expect(case, nsqd, "INFO", r"TOPIC\(orders\): pausing", r"TOPIC\(orders\): unpausing", r"DISKQUEUE\(orders\): emptying",
           r"CHANNEL\(orders:bill\): pausing", r"CHANNEL\(orders:bill\): unpausing", r"DISKQUEUE\(orders:bill\): emptying")


@test()
def errors_of_clients_with_address_and_text(case):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    with Connection(nsqd.address) as client:
        address = "%s:%d" % client.socket.getsockname()
        client.identify(client_id="a client", hostname="its host", user_agent="an agent/1")
        client.subscribe("orders", "bill")
        client.send(b"FIN 0123456789abcdef\n")
        client.frame()
        client.send(b"HUHU\n")
        client.frame()
    expect(case, nsqd, "INFO", rf"TCP: new client\({address}\)",
           rf"\[{address}\] IDENTIFY: {{ClientID:a client Hostname:its host .*UserAgent:an agent/1.*}}",
           rf"PROTOCOL\(V2\): \[{address}\] exiting ioloop.*")
    expect(case, nsqd, "ERROR", rf"\[{address}\] - E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight.*",
           rf"\[{address}\] - E_INVALID invalid command HUHU")
    with socket.create_connection(nsqd.address, 5) as client:
        address = "%s:%d" % client.getsockname()
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.recv(100)
    expect(case, nsqd, "ERROR", rf".*{address}.*(E_BAD_PROTOCOL|bad protocol magic 'GET ').*")


@test()
def ends_of_connections_with_their_reason(case):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")

    def client():
        connection = Connection(nsqd.address)
        case.on_close(connection.close)
        return connection, "%s:%d" % connection.socket.getsockname()

    silent, silent_address = client()
    silent.identify(heartbeat_interval=1000)
    closed, address = client()
    closed.publish("orders", b"x")
    closed.close()
    expect(case, nsqd, "INFO", rf"PROTOCOL\(V2\): \[{address}\] exiting ioloop.*")
    cut, address = client()
    cut.send(b"PUB orders\n" + (100).to_bytes(4, "big") + b"not all")
    cut.close()
    expect(case, nsqd, "ERROR", rf"\[{address}\] - E_BAD_MESSAGE PUB failed to read message body.*")
    reset, address = client()
    reset.publish("orders", b"x")
    reset.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.close()
    expect(case, nsqd, "ERROR", rf"client\({address}\) - failed to read command - .*connection reset by peer.*")
    gone, address = client()
    gone.subscribe("orders", "bill")
    nsqd.post("/channel/delete", topic="orders", channel="bill")
    expect(case, nsqd, "INFO", rf"PROTOCOL\(V2\): \[{address}\] exiting ioloop.*")
    expect(case, nsqd, "ERROR", rf"client\({silent_address}\) - failed to read command - .*i/o timeout.*")


@test(beyond_nsq=True)
def a_client_turned_away(case):
    nsqd = case.nsqd("--max-connections=1")
    with Connection(nsqd.address) as first:
        first.publish("orders", b"x")
        with socket.create_connection(nsqd.address, 5) as second:
            assert second.recv(1) == b""
        expect(case, nsqd, "WARNING", r"TCP: .*turned away.*--max-connections.*")


@test(beyond_nsq=True)
def errors_of_one_client_do_not_flood_the_log(case):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    count = 2_000
    with Connection(nsqd.address) as client:
        client.subscribe("orders", "bill")
        client.send(b"FIN 0123456789abcdef\n" * count)
        for _ in range(count):
            client.frame()
    lines = nsqd.log_text().count("E_FIN_FAILED")
    assert 5 <= lines < 200, f"{lines} lines for {count} errors"


@test()
def requests_over_http(case):
    nsqd = case.nsqd()
    took = r"[0-9.]+(ns|µs|ms|s)"
    nsqd.post("/topic/create", topic="orders")
    http.request(nsqd.http_address, "GET", "/nothing", a="b c")
    http.request(nsqd.http_address, "GET", "/pub", topic="orders")
    nsqd.post("/pub", b"a body", topic="orders")
    nsqd.post("/topic/delete", topic="orders")
    peer = r"\(127\.0\.0\.1:\d+\)"
    expect(case, nsqd, "INFO", rf"200 POST /topic/create\?topic=orders {peer} {took}", rf"404 GET /nothing\?a=b\S+c {peer} {took}",
           rf"405 GET /pub\?topic=orders {peer} {took}", rf"200 POST /topic/delete\?topic=orders {peer} {took}")
    assert "POST /pub" not in nsqd.log_text(), "a line for each publish would be a log of its own"


@test()
def a_lack_of_descriptors(case):
    nsqd = case.nsqd()
    with Connection(nsqd.address):  # A kernel may hold one more of which we do not know.
        used = len(os.listdir(f"/proc/{nsqd.process.pid}/fd"))
        hard = resource.prlimit(nsqd.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(nsqd.process.pid, resource.RLIMIT_NOFILE, (used, hard))
        waiting = [socket.create_connection(nsqd.address, 5) for _ in range(3)]
        expect(case, nsqd, "(WARNING|ERROR)", r"(TCP: )?temporary Accept\(\) failure - .*")
        resource.prlimit(nsqd.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        for client in waiting:
            client.close()
    with Connection(nsqd.address) as client:
        client.publish("orders", b"x")


@test(beyond_nsq=True)
def a_flood_of_requests_does_not_flood_the_log(case):
    nsqd = case.nsqd()
    count = 5_000
    client = HTTPConnection(*nsqd.http_address, timeout=10)
    for _ in range(count):
        client.request("GET", "/nothing")
        client.getresponse().read()
    client.close()
    lines = nsqd.log_text().count("404 GET /nothing")
    assert 100 <= lines < count / 2, f"{lines} lines for {count} requests"
    case.until("the missing ones are told", lambda: (nsqd.post("/topic/create", topic="t"),
                                                     "more like it were not logged" in nsqd.log_text())[1])
