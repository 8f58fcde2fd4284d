"""Runs the client programs; README.md beside this file has their contract."""

import json
import pathlib
import queue
import subprocess
import threading
import time
from collections import Counter

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache"
LIBRARIES = {
    "go-nsq": [str(CACHE / "go-nsq-client")],
    "pynsq": [str(CACHE / "venv/bin/python"), str(HERE / "pynsq_client.py")],
    "nsqjs": ["node", str(HERE / "js/client.js")],
}
MESSAGE_TIMEOUT_MS = 20_000
STOP_WITHIN_S = 15.0


class Program:
    """One client process. A thread reads its lines, so that it never waits for us."""

    def __init__(self, case, library, *arguments):
        if library != "nsqjs" and not pathlib.Path(LIBRARIES[library][0]).exists():
            raise AssertionError("the client libraries are missing: run scripts/setup-clients")
        self.case, self.name = case, f"{library} {arguments[0]}"
        log_path = f"{case.folder}/client-{threading.active_count()}-{library}-{arguments[0]}-{time.monotonic_ns()}.log"
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen([*LIBRARIES[library], *arguments], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        case.on_close(self.kill)
        self.lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def stop(self):
        """Ends the input; the program stops in its library's way."""
        self.process.stdin.close()
        code = self.process.wait(STOP_WITHIN_S)
        self._reader.join(STOP_WITHIN_S)
        assert code == 0, f"{self.name} exited with {code}"

    def kill(self):
        self.process.kill()
        self.process.wait()


class Publisher(Program):
    """A client library's producer."""

    def __init__(self, case, library, nsqd):
        super().__init__(case, library, "publish", "%s:%d" % nsqd.address)

    def send(self, *commands, within_s=30.0):
        """Runs commands, all sent at once, and waits for an OK to each."""
        self.process.stdin.write("".join(json.dumps(command) + "\n" for command in commands))
        self.process.stdin.flush()
        deadline = time.monotonic() + within_s
        for command in commands:
            try:
                answer = self.lines.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                raise AssertionError(f"{self.name}: no answer to {str(command)[:80]}") from None
            assert answer == {"ok": True}, f"{self.name}: {answer} to {str(command)[:80]}"

    def pub(self, topic, *bodies):
        self.send(*({"op": "pub", "topic": topic, "body": body} for body in bodies))

    def mpub(self, topic, bodies):
        self.send({"op": "mpub", "topic": topic, "bodies": bodies})

    def dpub(self, topic, delay_ms, *bodies):
        self.send(*({"op": "dpub", "topic": topic, "delay_ms": delay_ms, "body": body} for body in bodies))


class Consumer(Program):
    """A client library's consumer. `bodies` counts how often each body came; `came` has (body, attempts, time)."""

    def __init__(self, case, library, topic, channel, nsqd=(), lookupd=(), max_in_flight=50,
                 msg_timeout_ms=MESSAGE_TIMEOUT_MS):
        self.bodies, self.came = Counter(), []
        super().__init__(case, library, "consume", json.dumps({
            "topic": topic, "channel": channel, "max_in_flight": max_in_flight, "msg_timeout_ms": msg_timeout_ms,
            "nsqd": ["%s:%d" % daemon.address for daemon in nsqd],
            "lookupd": ["%s:%d" % daemon.http_address for daemon in lookupd],
        }))

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.came.append((event["body"], event["attempts"], time.time()))
            self.bodies[event["body"]] += 1

    def attempts_of(self, body):
        return [attempts for came, attempts, _ in self.came if came == body]

    def until_came(self, bodies, within_s=20.0):
        """Waits until each of the bodies has come at least once."""
        wanted = set(bodies)
        self.case.until(lambda: f"{self.name} got {[body[:40] for body in sorted(wanted - self.bodies.keys())[:5]]}",
                        lambda: wanted <= self.bodies.keys(), within_s)

    def assert_came(self, count):
        """Waits until as many deliveries were reported, and checks that there are no more. To be called when the
        daemon owes nothing: what was finished is then reported or on its way through the pipe."""
        self.case.until(lambda: f"{self.name} reported {count} deliveries, not {len(self.came)}",
                        lambda: len(self.came) >= count)
        assert len(self.came) == count, [(body[:40], times) for body, times in self.bodies.most_common(5)]
