"""A message answered OK is not lost by SIGKILL: it comes out afterwards, unaltered and not before its time.

Publishers and consumers work while the daemon is killed at random moments, one time in four during its recovery. Then
everything is drained and the books are balanced:

- every message answered OK was finished by each channel of its topic;
- every body that came is one that was sent to that topic, bit for bit;
- no deferred message came before its time;
- of a batch whose OK was never seen, a channel got all or nothing.

FIN has no reply, so a finished message may come again after a kill. These repeats are counted and reported.

NSQ's own nsqd keeps what it acknowledged in memory and fails here within a few kills.
"""

import hashlib
import itertools
import random
import threading
import time
from collections import deque

from lib import wire
from lib.case import test
from lib.wire import Connection

# Topics and how many channels each has.
TOPICS = {"orders": 3, "clicks": 2, "mails": 1, "alarms": 3}
PUBLISHERS = 4
PIPELINE_MAX = 16
BATCH_MAX = 20
DELAY_MS_MAX = 3000
MESSAGE_TIMEOUT_MS = 1000
CREDIT = 100
# Deliveries owed before the publishers wait for the consumers; this bounds the time of the last drain.
OWED_MAX = 30_000
DRAIN_WITHIN_S = 90
# Between two readings of the same clock in two processes nothing is early; this is for rounding to milliseconds.
EARLY_TOLERANCE_NS = 1_000_000


class Sent:
    """One message that a publisher attempted."""

    __slots__ = ("topic", "digest", "due_ns", "acked", "batch")

    def __init__(self, topic, digest, due_ns, batch):
        self.topic, self.digest, self.due_ns, self.batch = topic, digest, due_ns, batch
        self.acked = False


class Storm:
    """The books, and the threads that write them. Each container has one writer, or is only appended to."""

    def __init__(self, nsqd, seed):
        self.nsqd, self.seed = nsqd, seed
        self.life = 0
        self.sent = []
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.channels = {(topic, f"channel{n}"): {} for topic, count in TOPICS.items() for n in range(count)}
        self.finished = {key: set() for key in self.channels}
        self.faults = []
        self.early_requeues = {}
        self.repeats = 0
        self.acked_count = 0
        self.publishing, self.draining, self.over = True, False, False

    def fault(self, text):
        self.faults.append(text)

    def owed(self):
        """A rough count of deliveries still owed."""
        share = len(self.channels) / len(TOPICS)
        return len(self.sent) * share - sum(len(done) for done in self.finished.values())

    # -- publishing ------------------------------------------------------------------------------
    def new_messages(self, rng, topic, count, delay_ms=0, batch=None):
        """Enters messages in the books and returns (numbers, bodies)."""
        due_ns = time.time_ns() + delay_ms * 1_000_000 if delay_ms else 0
        numbers, bodies = [], []
        with self.lock:
            for _ in range(count):
                number = len(self.sent)
                size = rng.choice((0, 20, 200, 2000)) if rng.random() < 0.995 else 100_000
                body = b"%d %s " % (number, topic.encode()) + rng.randbytes(size)
                self.sent.append(Sent(topic, digest(body), due_ns, batch))
                numbers.append(number)
                bodies.append(body)
        return numbers, bodies

    def next_command(self, rng):
        """A random publish as (bytes, numbers)."""
        topic = rng.choice(list(TOPICS))
        kind = rng.random()
        if kind < 0.6:
            numbers, bodies = self.new_messages(rng, topic, 1)
            return wire.publish(topic, bodies[0]), numbers
        if kind < 0.8:
            numbers, bodies = self.new_messages(rng, topic, rng.randint(1, BATCH_MAX), batch=next(self.numbers))
            return wire.publish_many(topic, bodies), numbers
        delay_ms = rng.randint(1, DELAY_MS_MAX)
        numbers, bodies = self.new_messages(rng, topic, 1, delay_ms)
        return wire.publish_deferred(topic, delay_ms, bodies[0]), numbers

    def publish_session(self, rng):
        """One connection's life: up to PIPELINE_MAX commands wait for their OK, which come in order."""
        waiting = deque()
        with Connection(self.nsqd.address, within_s=30) as connection:
            while self.publishing or waiting:
                if self.publishing and self.owed() > OWED_MAX:
                    time.sleep(0.005)
                window = rng.randint(1, PIPELINE_MAX) if self.publishing else 0
                burst = []
                while len(waiting) < window:
                    command, numbers = self.next_command(rng)
                    burst.append(command)
                    waiting.append(numbers)
                connection.send(b"".join(burst))
                for _ in range(rng.randint(1, len(waiting)) if waiting else 0):
                    connection.ok()
                    for number in waiting.popleft():
                        self.sent[number].acked = True
                        self.acked_count += 1

    # -- consuming -------------------------------------------------------------------------------
    def consume_session(self, rng, topic, channel):
        """One connection's life: finish most messages, requeue some, let some time out."""
        life = self.life  # Before connecting: an entry may then look older than it is, never younger.
        with Connection(self.nsqd.address, within_s=30) as connection:
            connection.identify(msg_timeout=MESSAGE_TIMEOUT_MS)
            connection.subscribe(topic, channel, CREDIT)
            while not self.over:
                if not connection.has_frame(within_s=0.05):
                    continue
                kind, data = connection.frame()
                if kind == wire.ERROR:
                    self.consumer_error(topic, channel, data)
                    continue
                message = wire.parse_message(data)
                number = self.check_delivery(topic, channel, message, life)
                if number is not None:
                    self.answer(connection, rng, topic, channel, message, number, life)

    def check_delivery(self, topic, channel, message, life):
        """Compares a delivery with the books; returns its number."""
        now_ns = time.time_ns()
        try:
            number = int(message.body.split(b" ", 1)[0])
            sent = self.sent[number]
        except (ValueError, IndexError):
            return self.fault(f"{topic}/{channel}: a body that nobody sent: {message.body[:60]!r}")
        if sent.topic != topic or sent.digest != digest(message.body):
            return self.fault(f"{topic}/{channel}: altered: {message.body[:60]!r}")
        if now_ns < sent.due_ns - EARLY_TOLERANCE_NS:
            self.fault(f"{topic}/{channel}: number {number} came {(sent.due_ns - now_ns) / 1e6:.1f} ms early")
        key = (topic, channel)
        if number in self.finished[key]:
            self.repeats += 1
        requeued_life, due_ns = self.channels[key].get(number, (0, 0))
        if requeued_life == life and now_ns < due_ns - EARLY_TOLERANCE_NS:
            self.early_requeues[key, message.id] = f"number {number}, {(due_ns - now_ns) / 1e6:.1f} ms early"
        return number

    def answer(self, connection, rng, topic, channel, message, number, life):
        key, choice = (topic, channel), rng.random()
        requeued = self.channels[key]
        if self.draining or choice < 0.8:
            connection.finish(message)
            self.finished[key].add(number)
        elif choice < 0.87:
            requeued.pop(number, None)
            connection.requeue(message)
        elif choice < 0.94:
            delay_ms = rng.randint(50, 800)
            requeued[number] = (life, time.time_ns() + delay_ms * 1_000_000)
            connection.requeue(message, delay_ms)
        else:
            requeued.pop(number, None)  # Left to time out.

    def consumer_error(self, topic, channel, data):
        """Only a message that is no longer ours may be refused; its requeue then never counted."""
        words = data.split()
        if words[0] not in (b"E_FIN_FAILED", b"E_REQ_FAILED"):
            self.fault(f"{topic}/{channel}: {data[:120]!r}")
        elif words[0] == b"E_REQ_FAILED":
            self.early_requeues.pop(((topic, channel), words[2]), None)

    # -- threads ---------------------------------------------------------------------------------
    def keep(self, session, wanted, name, *what):
        """Runs sessions until they are not wanted; a dead daemon ends one, and the next connects again."""
        rng = random.Random(f"{self.seed} {name}")

        def run():
            while wanted():
                try:
                    session(rng, *what)
                except OSError:
                    time.sleep(0.005)
                except Exception as error:  # Everything else is the daemon's fault, and must not end in silence.
                    self.fault(f"{name}: {type(error).__name__}: {error}")
                    time.sleep(0.05)

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def missing(self):
        """(topic, channel, number) of each message answered OK and not yet finished."""
        return [(topic, channel, number) for (topic, channel), done in self.finished.items()
                for number, sent in enumerate(self.sent) if sent.acked and sent.topic == topic and number not in done]

    def torn_batches(self):
        """Batches without an OK of which a channel got some and not all."""
        batches = {}
        for number, sent in enumerate(self.sent):
            if sent.batch is not None:
                batches.setdefault(sent.batch, []).append(number)
        torn = []
        for numbers in batches.values():
            topic = self.sent[numbers[0]].topic
            for key, done in self.finished.items():
                if key[0] == topic and 0 < sum(number in done for number in numbers) < len(numbers):
                    torn.append(f"{key[0]}/{key[1]}: {numbers[0]}..{numbers[-1]}")
        return torn


def digest(body):
    return hashlib.blake2b(body, digest_size=12).digest()


def kill_and_start(storm, rng):
    """Lets the daemon live for a random while, sometimes too short for its recovery, and kills it."""
    nsqd = storm.nsqd
    if rng.random() < 0.25:
        time.sleep(rng.uniform(0.02, 0.15))
    else:
        nsqd.wait_ready()
        time.sleep(rng.uniform(0.02, 1.5))
    nsqd.kill()
    storm.life += 1
    nsqd.spawn()


# The pauses between kills are the test's subject, not waits for a condition.
@test(timeout_s=300, variants=["sync", "write"], beyond_nsq=True)
def every_message_answered_ok_comes_out(case, durability):
    kills = case.parameter("kills", 20)
    nsqd = case.nsqd(own=[f"--durability={durability}", "--cores=2"])
    storm = Storm(nsqd, case.seed)
    for topic, count in TOPICS.items():
        nsqd.create(topic, *(f"channel{n}" for n in range(count)))

    publishers = [storm.keep(storm.publish_session, lambda: storm.publishing, f"publisher {n}") for n in range(PUBLISHERS)]
    consumers = [storm.keep(storm.consume_session, lambda: not storm.over, f"consumer {n} {key}", *key)
                 for key in storm.channels for n in range(2 if key[1] == "channel0" else 1)]
    for _ in range(kills):
        kill_and_start(storm, case.random)
        assert not storm.faults, storm.faults[:10]
    nsqd.wait_ready()

    storm.publishing = False
    for publisher in publishers:
        publisher.join(60)
        assert not publisher.is_alive(), f"{publisher.name} waits for its OKs"
    storm.draining = True
    try:
        case.until(lambda: f"the channels are empty: {owing(nsqd)}", lambda: storm.faults or not owing(nsqd), DRAIN_WITHIN_S)
    finally:
        storm.over = True
        for consumer in consumers:
            consumer.join(10)
    faults = storm.faults + [f"requeued, came early: {what}" for what in storm.early_requeues.values()]
    faults += [f"torn batch: {what}" for what in storm.torn_batches()]
    faults += describe_missing(storm)
    assert not faults, "\n".join(faults[:40])
    assert storm.acked_count >= 100, f"only {storm.acked_count} messages were answered OK"
    deliveries = sum(len(done) for done in storm.finished.values())
    print(f"{kills} kills, {storm.acked_count} messages answered OK, {len(storm.sent) - storm.acked_count} not answered, "
          f"{deliveries} finished, {storm.repeats} came again after FIN")


def owing(nsqd):
    """The topics and channels that still owe messages, as text."""
    found = [f"{topic}: {nsqd.topic(topic)['depth']}" for topic in TOPICS if nsqd.topic(topic)["depth"]]
    return found + [f"{topic}/channel{n}: {nsqd.held(topic, f'channel{n}')}" for topic, count in TOPICS.items()
                    for n in range(count) if nsqd.held(topic, f"channel{n}")]


def describe_missing(storm):
    missing = storm.missing()
    if not missing:
        return []
    lines = [f"{len(missing)} deliveries of {storm.acked_count} messages answered OK are missing; the first:"]
    for topic, channel, number in missing[:20]:
        sent = storm.sent[number]
        kind = "deferred" if sent.due_ns else "batch" if sent.batch is not None else "single"
        lines.append(f"  {topic}/{channel} number {number} ({kind})")
    return lines
