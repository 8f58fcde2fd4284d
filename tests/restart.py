"""A stop is clean, a directory has one owner, and what was queued, paused or deferred is so again after a restart."""

import signal
import socket
import time

from lib.case import test
from lib.wire import Connection


@test(timeout_s=60, variants=["sigterm", "sigint"])
def a_stop_exits_0_and_loses_nothing(case, variant):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill", "ship")
    with Connection(nsqd.address) as producer:
        producer.publish_many("orders", [b"%d" % n for n in range(500)])
    case.until("both channels hold all", lambda: nsqd.held("orders", "bill") == nsqd.held("orders", "ship") == 500)

    code = nsqd.stop(getattr(signal, variant.upper()))
    assert code == 0, f"exit code {code}"

    nsqd.start()
    for channel in ("bill", "ship"):
        assert nsqd.channel("orders", channel)["depth"] == 500, nsqd.channel("orders", channel)
        with Connection(nsqd.address) as consumer:
            consumer.subscribe("orders", channel, credit=100)
            bodies = set()
            for _ in range(500):
                message = consumer.message()
                assert message.attempts == 1, message
                bodies.add(int(message.body))
                consumer.finish(message)
            assert bodies == set(range(500)), sorted(set(range(500)) - bodies)[:10]
            case.until("all finished", lambda c=channel: nsqd.held("orders", c) == 0)


@test(timeout_s=60)
def a_stop_closes_clients_and_keeps_what_they_held(case):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    producer, consumer = Connection(nsqd.address), Connection(nsqd.address)
    producer.publish_many("orders", [b"a", b"b", b"c"])
    consumer.subscribe("orders", "bill", credit=10)
    held = {consumer.message().body for _ in range(3)}
    assert held == {b"a", b"b", b"c"}, held

    assert nsqd.stop() == 0
    for connection in (producer, consumer):
        connection.socket.settimeout(5)
        try:
            assert connection.socket.recv(1) == b"", "bytes after the daemon's end"
        except ConnectionResetError:
            pass

    nsqd.start()
    with Connection(nsqd.address) as again:
        again.subscribe("orders", "bill", credit=10)
        assert {again.message().body for _ in range(3)} == held


@test(timeout_s=60)
def a_second_process_on_the_directory_is_refused(case):
    first = case.nsqd()
    second = case.nsqd(data_path=first.data_path, start=False).spawn()
    code = case.until("the second process ends", lambda: second.process.poll() is not None and [second.process.returncode])
    assert code == [1], f"exit code {code}"
    assert "failed to lock data-path" in second.log_text(), second.log_text()
    with Connection(first.address) as producer:
        producer.publish("orders", b"the first one still serves")


@test(timeout_s=60)
def a_second_process_on_the_ports_is_refused(case):
    first = case.nsqd()
    host, port = first.address
    second = case.nsqd(f"--tcp-address={host}:{port}", start=False).spawn()
    code = case.until("the second process ends", lambda: second.process.poll() is not None and [second.process.returncode])
    assert code == [1], f"exit code {code}"
    assert f"listen ({host}:{port}) failed" in second.log_text(), second.log_text()


@test(timeout_s=90, variants=["stopped", "killed"])
def a_pause_survives(case, variant):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill", "ship")
    nsqd.create("held", "bill")
    nsqd.post("/channel/pause", topic="orders", channel="bill")
    nsqd.post("/topic/pause", topic="held")
    nsqd.stop() if variant == "stopped" else nsqd.kill()

    nsqd.start()
    assert nsqd.channel("orders", "bill")["paused"] is True
    assert nsqd.channel("orders", "ship")["paused"] is False
    assert nsqd.topic("held")["paused"] is True
    with Connection(nsqd.address) as producer, Connection(nsqd.address) as consumer:
        producer.publish("orders", b"later")
        consumer.subscribe("orders", "bill", credit=1)
        assert not consumer.has_frame(within_s=0.3), "a message from a paused channel"
        nsqd.post("/channel/unpause", topic="orders", channel="bill")
        assert consumer.message().body == b"later"


# NSQ forgets the delay at a stop, and the message at a kill.
@test(timeout_s=90, variants=["stopped", "killed"], beyond_nsq=True)
def a_deferred_message_keeps_its_time(case, variant):
    delay_s = 4.0
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    with Connection(nsqd.address) as producer:
        sent_at = time.time()
        producer.publish_deferred("orders", int(delay_s * 1000), b"not early")
        producer.publish("orders", b"at once")
    case.until("both arrived", lambda: nsqd.held("orders", "bill") == 2)
    nsqd.stop() if variant == "stopped" else nsqd.kill()

    nsqd.start()
    with Connection(nsqd.address) as consumer:
        consumer.subscribe("orders", "bill", credit=10)
        first = consumer.message()
        assert first.body == b"at once", first
        consumer.finish(first)
        second = consumer.message(within_s=delay_s + 10)
        took_s = time.time() - sent_at
        assert second.body == b"not early", second
        assert took_s >= delay_s - 0.001, f"{took_s:.3f} s after it was sent, {delay_s} s were asked"


@test(timeout_s=90, beyond_nsq=True)
def a_requeued_message_keeps_its_time_over_a_stop(case):
    delay_s = 3.0
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    with Connection(nsqd.address) as connection:
        connection.publish("orders", b"again")
        connection.subscribe("orders", "bill", credit=1)
        message = connection.message()
        sent_at = time.time()
        connection.requeue(message, int(delay_s * 1000))
        case.until("it is deferred", lambda: nsqd.channel("orders", "bill")["deferred_count"] == 1)
    assert nsqd.stop() == 0

    nsqd.start()
    with Connection(nsqd.address) as consumer:
        consumer.subscribe("orders", "bill", credit=1)
        message = consumer.message(within_s=delay_s + 10)
        took_s = time.time() - sent_at
        assert message.body == b"again"
        assert took_s >= delay_s - 0.001, f"{took_s:.3f} s after REQ, {delay_s} s were asked"


@test(timeout_s=120)
def a_killed_process_starts_again_at_once_on_its_ports(case):
    nsqd = case.nsqd()
    for n in range(10):
        connection = Connection(nsqd.address)  # Left open, so that the kill leaves sockets behind.
        connection.publish("orders", b"%d" % n)
        case.on_close(connection.close)
        nsqd.kill()
        nsqd.start()
    with socket.create_connection(nsqd.http_address, timeout=5), Connection(nsqd.address) as producer:
        producer.publish("orders", b"served")


@test(timeout_s=60, beyond_nsq=True)
def an_answered_publish_survives_a_kill(case):
    nsqd = case.nsqd()
    nsqd.create("orders", "bill")
    with Connection(nsqd.address) as producer:
        producer.publish("orders", b"single")
        producer.publish_many("orders", [b"batch %d" % n for n in range(50)])
        nsqd.post("/pub", b"by http", topic="orders")
        nsqd.kill()
    nsqd.start()
    wanted = {b"single", b"by http", *(b"batch %d" % n for n in range(50))}
    with Connection(nsqd.address) as consumer:
        consumer.subscribe("orders", "bill", credit=100)
        got = {consumer.message().body for _ in wanted}
        assert got == wanted, wanted - got


@test(timeout_s=60, beyond_nsq=True)
def a_request_over_http_that_is_under_way_is_answered_before_the_stop(case):
    nsqd = case.nsqd()
    with socket.create_connection(nsqd.http_address, 5) as client:
        client.sendall(b"PUT /config/log_level HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nde")
        # The daemon has the request once it has answered a later one.
        nsqd.post("/topic/create", topic="orders")
        nsqd.process.send_signal(signal.SIGTERM)
        case.until("the stop has begun", lambda: "stopping" in nsqd.log_text() or "closing" in nsqd.log_text())
        client.sendall(b"bug")
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert nsqd.process.wait(20) == 0
