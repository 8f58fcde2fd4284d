"""A disk that fails ends the process soon, and what was answered OK is there at the next start."""

import resource
import signal
import time

from lib.case import test
from lib.wire import Connection

EXIT_IO = 74
GONE_WITHIN_S = 5.0


@test(timeout_s=60, variants=["ring", "glommio"], beyond_nsq=True)
def a_failed_write_ends_the_process_and_loses_nothing(case, variant):
    nsqd = case.nsqd("--cores=2", "--shards=4", f"--transport={variant}", start=False)
    # The write fails with EFBIG instead of ending the process by a signal.
    nsqd.before_exec = lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    nsqd.start()
    nsqd.create("orders", "bill")
    with Connection(nsqd.address) as producer:
        for n in range(100):
            producer.publish("orders", b"%d" % n)
        resource.prlimit(nsqd.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        producer.send(b"PUB orders\n" + (4).to_bytes(4, "big") + b"last")
        failed_at = time.monotonic()
        code = nsqd.process.wait(GONE_WITHIN_S)
        took_s = time.monotonic() - failed_at
    assert code == EXIT_IO, f"exit code {code}"
    print(f"gone {took_s:.2f} s after the write")
    nsqd.before_exec = None
    nsqd.start()
    with Connection(nsqd.address) as consumer:
        consumer.subscribe("orders", "bill", credit=200)
        found = set()
        while len(found) < 100:
            message = consumer.message()
            found.add(message.body)
            consumer.finish(message)
    assert found - {b"last"} == {b"%d" % n for n in range(100)}
