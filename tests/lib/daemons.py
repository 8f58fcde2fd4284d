"""The daemons under test, as processes on loopback with ports and data directories of their own."""

import json
import os
import signal
import socket
import subprocess
import time

from lib import http

LOOPBACK = "127.0.0.1"
START_WITHIN_S = 20.0
STOP_WITHIN_S = 20.0


class Port:
    """A port chosen by the kernel and kept for us until the test ends.

    The bound socket that we hold keeps the kernel from giving the port to an outgoing connection while the daemon is
    down. Otherwise a client that reconnects to a killed daemon could be given that very port and talk to itself. The
    daemon can still listen: with SO_REUSEADDR a bound socket that does not listen is no obstacle.
    """

    def __init__(self):
        self._held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind((LOOPBACK, 0))
        self.address = self._held.getsockname()

    def __str__(self):
        return "%s:%d" % self.address


class Daemon:
    """One daemon that can be started, stopped, killed and started again; its log goes on in one file."""

    def __init__(self, program, flags, http_port, log_path):
        self.program, self.flags, self.log_path = program, list(flags), log_path
        self.http_address = http_port.address
        self.process = None
        self.before_exec = None  # A function that the new process calls before it becomes the daemon.

    def spawn(self):
        """Starts the process and does not wait for it."""
        with open(self.log_path, "ab") as log:
            log.write(b"-- %s %s\n" % (os.path.basename(self.program).encode(), " ".join(self.flags).encode()))
            log.flush()
            self.process = subprocess.Popen([self.program, *self.flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=self.before_exec)
        return self

    def wait_ready(self, within_s=START_WITHIN_S):
        """Waits until /ping answers OK."""
        deadline = time.monotonic() + within_s
        while not http.answers_ping(self.http_address):
            if self.process.poll() is not None:
                raise AssertionError(f"{self} exited with {self.process.returncode} at start")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self} did not answer /ping within {within_s} s")
            time.sleep(0.005)
        return self

    def start(self):
        return self.spawn().wait_ready()

    def stop(self, sig=signal.SIGTERM, within_s=STOP_WITHIN_S):
        """Asks the daemon to end; returns its exit code."""
        self.process.send_signal(sig)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{self} still ran {within_s} s after {signal.Signals(sig).name}") from error

    def kill(self):
        """SIGKILL, and waits until the process is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __str__(self):
        return f"{os.path.basename(self.program)} (log {os.path.basename(self.log_path)})"

    def log_text(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    # -- what the kernel says --------------------------------------------------------------------
    def memory_bytes(self, field="VmRSS"):
        """`VmRSS` (now) or `VmHWM` (the highest so far)."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field} for {self}")

    def cpu_ticks(self):
        """User and system time of all threads so far, in ticks of `os.sysconf("SC_CLK_TCK")`."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def socket_count(self):
        """Open sockets, those that listen among them."""
        folder, count = f"/proc/{self.process.pid}/fd", 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(os.path.join(folder, name)).startswith("socket:")
            except FileNotFoundError:
                pass  # Closed since the listing.
        return count


class Nsqd(Daemon):
    """An nsqd."""

    def __init__(self, program, flags, data_path, log_path):
        self.tcp_port, http_port, self.data_path = Port(), Port(), data_path
        self.address = self.tcp_port.address
        super().__init__(program, [
            f"--data-path={data_path}", f"--tcp-address={self.tcp_port}", f"--http-address={http_port}",
            f"--broadcast-address={LOOPBACK}", *flags,
        ], http_port, log_path)

    def create(self, topic, *channels):
        http.post(self.http_address, "/topic/create", topic=topic)
        for channel in channels:
            http.post(self.http_address, "/channel/create", topic=topic, channel=channel)

    def post(self, path, body=b"", **query):
        return http.post(self.http_address, path, body, **query)

    def topic(self, topic):
        """The topic's part of /stats, or None."""
        topics = http.get_json(self.http_address, "/stats", format="json", topic=topic)["topics"] or []
        return next((found for found in topics if found["topic_name"] == topic), None)

    def channel(self, topic, channel):
        """The channel's part of /stats, or None."""
        found = self.topic(topic)
        return next((c for c in (found or {}).get("channels") or [] if c["channel_name"] == channel), None)

    def held(self, topic, channel):
        """How many messages the channel owes in all: queued, in flight or deferred."""
        found = self.channel(topic, channel)
        return found["depth"] + found["in_flight_count"] + found["deferred_count"] if found else 0

    def disk_bytes(self):
        """What the data directory occupies."""
        used = 0
        for folder, _, files in os.walk(self.data_path):
            for name in files:
                try:
                    used += os.stat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:
                    pass  # A segment given back while we looked.
        return used


class Nsqlookupd(Daemon):
    """An nsqlookupd."""

    def __init__(self, program, flags, log_path):
        self.tcp_port, self.http_port = Port(), Port()
        super().__init__(program, [
            f"--tcp-address={self.tcp_port}", f"--http-address={self.http_port}",
            f"--broadcast-address={LOOPBACK}", *flags,
        ], self.http_port, log_path)

    def producers(self, topic):
        """The TCP ports of the topic's producers, as a consumer would see them."""
        status, answer = http.request(self.http_address, "GET", "/lookup", topic=topic)
        if status == 404:
            return set()
        if status != 200:
            raise http.Unexpected(f"/lookup: {status} {answer[:200]!r}")
        return {producer["tcp_port"] for producer in json.loads(answer)["producers"]}
