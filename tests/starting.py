"""Where the machine does not let it start, a daemon says so in one sentence with the remedy, and exits with code 1."""

import errno
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

from lib import limits
from lib.case import test
from lib.wire import Connection

REFUSED_WITHIN_S = 20.0
OWN_START = "--cores=2", "--shards=4"


def refused(nsqd, before_exec):
    """Starts nsqd with what `before_exec` leaves it, and returns the sentence with which it refuses."""
    before = os.path.getsize(nsqd.log_path) if os.path.exists(nsqd.log_path) else 0
    nsqd.before_exec = before_exec
    nsqd.spawn()
    try:
        code = nsqd.process.wait(REFUSED_WITHIN_S)
    except subprocess.TimeoutExpired as error:
        nsqd.process.send_signal(signal.SIGABRT)
        raise AssertionError(f"it neither starts nor ends\n{nsqd.log_text()}") from error
    log = nsqd.log_text()[before:]
    last = log.rstrip().rpartition("\n")[2]
    assert code == 1, f"exit code {code}\n{log}"
    assert " FATAL: failed to instantiate nsqd - " in last, log
    return last.partition(" FATAL: failed to instantiate nsqd - ")[2]


def starts(nsqd, before_exec):
    nsqd.before_exec = before_exec
    nsqd.start()
    assert nsqd.stop() == 0
    return nsqd


def refused_or_none(nsqd, before_exec):
    """As `refused`; None if it starts."""
    nsqd.before_exec = before_exec
    nsqd.spawn()
    if nsqd_answers(nsqd):
        assert nsqd.stop() == 0
        return None
    return nsqd.log_text().rstrip().rpartition("\n")[2]


def nsqd_answers(nsqd):
    try:
        nsqd.wait_ready()
        return True
    except AssertionError:
        assert nsqd.process.poll() == 1, f"it neither starts nor ends with code 1\n{nsqd.log_text()}"
        return False


def unprivileged(case):
    """An nsqd that a user without privileges can run, with a data directory of that user."""
    folder = tempfile.mkdtemp(prefix="nsq-test-")
    case.on_close(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.chmod(folder, 0o755)
    program = shutil.copy(os.path.join(case.bin_dir, "nsqd"), folder)
    data_path = os.path.join(folder, "data")
    os.mkdir(data_path)
    if os.getuid() == 0:
        os.chown(data_path, limits.UID, limits.UID)
    nsqd = case.nsqd(*OWN_START, data_path=data_path, start=False)
    nsqd.program = program
    return nsqd


@test(timeout_s=60, variants=[f"{transport}-{error}" for transport in ("auto", "ring", "glommio")
                              for error in ("EPERM", "ENOSYS")], beyond_nsq=True)
def a_forbidden_io_uring_is_named_with_its_remedy(case, variant):
    transport, error = variant.split("-")
    nsqd = case.nsqd(f"--transport={transport}", start=False)
    text = refused(nsqd, lambda: limits.forbid(limits.IO_URING_SETUP, getattr(errno, error)))
    assert text.startswith("io_uring is forbidden here"), text
    assert "kernel.io_uring_disabled=0" in text and "seccomp" in text, text
    assert os.listdir(nsqd.data_path) == [], "a refused start leaves nothing behind"


@test(timeout_s=60, beyond_nsq=True)
def too_little_locked_memory_is_named_with_its_remedy(case):
    nsqd = unprivileged(case)

    def give(size_bytes):
        limits.limit(resource.RLIMIT_MEMLOCK, size_bytes)
        limits.drop_privileges()

    text = refused(nsqd, lambda: give(64 << 10))
    assert "`ulimit -l`" in text and "1 MiB for each core" in text, text
    least = int(re.search(r"io_uring needs (\d+)", text).group(1))
    # Whether this is enough is the kernel's affair: some count the rings too.
    text = refused_or_none(nsqd, lambda: give(least))
    assert text is None or "`ulimit -l`" in text, text
    starts(nsqd, lambda: give(2 << 20))


@test(timeout_s=120, beyond_nsq=True)
def too_few_descriptors_are_named_with_their_remedy(case):
    nsqd = case.nsqd(*OWN_START, start=False)
    text = refused(nsqd, lambda: limits.limit(resource.RLIMIT_NOFILE, 64))
    needed = int(re.search(r"and (\d+) are needed", text).group(1))
    for count in [*range(6, 40), needed - 1]:
        text = refused(nsqd, lambda n=count: limits.limit(resource.RLIMIT_NOFILE, n))
        assert "`ulimit -n`" in text, f"{count} descriptors: {text}"
    assert os.listdir(nsqd.data_path) == [], "a refused start leaves nothing behind"
    starts(nsqd, lambda: limits.limit(resource.RLIMIT_NOFILE, needed))


@test(timeout_s=120, beyond_nsq=True)
def too_few_processes_are_named_with_their_remedy(case):
    nsqd = unprivileged(case)
    others = limits.threads_of_user()

    def give(count):
        limits.limit(resource.RLIMIT_NPROC, others + count)
        limits.drop_privileges()

    for count in range(1, 8):
        text = refused(nsqd, lambda n=count: give(n))
        assert "`ulimit -u`" in text, f"{count} threads: {text}"
    # Main thread, log, and four a core; and the kernel's own workers, which count too.
    starts(nsqd, lambda: give(64))


@test(timeout_s=60, beyond_nsq=True)
def one_core_that_cannot_start_ends_the_start_of_all(case):
    nsqd = case.nsqd(*OWN_START)
    with Connection(nsqd.address) as producer:
        for topic in range(32):
            producer.publish(f"topic-{topic}", b"x")
    assert nsqd.stop() == 0
    folder = os.path.join(nsqd.data_path, "shard-01")
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    text = refused(nsqd, None)
    assert "shard-01" in text, text


@test(timeout_s=60, variants=["0.0.0.0", "[::]", "empty"])
def a_wildcard_address_takes_both_families(case, variant):
    host = "" if variant == "empty" else variant
    nsqd = case.nsqd(start=False)
    nsqlookupd = case.nsqlookupd(start=False)
    for daemon in (nsqd, nsqlookupd):
        daemon.flags = [re.sub(r"^(--(?:tcp|http)-address=)127\.0\.0\.1:", rf"\g<1>{host}:", flag) for flag in daemon.flags]
        daemon.start()
    for daemon in (nsqd, nsqlookupd):
        for port in (daemon.tcp_port.address[1], daemon.http_address[1]):
            for client in ["127.0.0.1"] + (["::1"] if has_ipv6() else []):
                socket.create_connection((client, port), 5).close()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
