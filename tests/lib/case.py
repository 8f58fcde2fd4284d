"""The frame of a test: where it finds the daemons, its seed, its deadlines, and what it leaves behind on failure."""

import os
import random
import time
from typing import Callable, NamedTuple, Optional

from lib.daemons import Nsqd, Nsqlookupd

LOG_TAIL_LINES = 40
LOG_LINE_CHARACTERS_MAX = 300

registry = {}


class Test(NamedTuple):
    """A registered test. `variant` is passed to the function unless it is None."""

    function: Callable
    variant: Optional[str]
    timeout_s: float
    beyond_nsq: bool


def test(timeout_s=60, variants=(None,), beyond_nsq=False):
    """Registers a function as a test with a time-out. With `variants`, one test for each of them.

    `beyond_nsq` marks a promise that NSQ's own daemons do not make: run with them, the test is expected to fail, which
    shows that it can.
    """

    def register(function):
        module = function.__module__
        for variant in variants:
            name = f"{module}.{function.__name__}" + (f"[{variant}]" if variant else "")
            registry[name] = Test(function, variant, timeout_s, beyond_nsq)
        return function

    return register


class Case:
    """What one test works with. Everything it started ends with `close`."""

    def __init__(self, folder, bin_dir, seed, foreign, parameters, transport="auto"):
        self.folder, self.bin_dir, self.seed, self.foreign = folder, bin_dir, seed, foreign
        self.transport = transport
        self.random = random.Random(seed)
        self.daemons = []
        self._closing = []
        self._parameters = parameters

    def parameter(self, name, default):
        """A number that the command line may change with `--set name=value`."""
        return type(default)(self._parameters.get(name, default))

    def directory(self, name):
        path = os.path.join(self.folder, name)
        os.mkdir(path)
        return path

    def on_close(self, action):
        self._closing.append(action)

    # -- daemons ---------------------------------------------------------------------------------
    def nsqd(self, *flags, own=(), data_path=None, start=True):
        """An nsqd with a new data directory, or `data_path`. `own` are flags that NSQ's nsqd does not have; they are
        left out when the daemons are NSQ's."""
        name = f"nsqd-{len(self.daemons)}"
        if not any(flag.startswith("--transport=") for flag in (*flags, *own)):
            own = (*own, f"--transport={self.transport}")
        daemon = Nsqd(os.path.join(self.bin_dir, "nsqd"), [*flags, *([] if self.foreign else own)],
                      data_path or self.directory(name), os.path.join(self.folder, name + ".log"))
        return self._add(daemon, start)

    def nsqlookupd(self, *flags, start=True):
        name = f"nsqlookupd-{len(self.daemons)}"
        daemon = Nsqlookupd(os.path.join(self.bin_dir, "nsqlookupd"), flags, os.path.join(self.folder, name + ".log"))
        return self._add(daemon, start)

    def _add(self, daemon, start):
        self.daemons.append(daemon)
        return daemon.start() if start else daemon

    # -- waiting ---------------------------------------------------------------------------------
    def until(self, what, condition, within_s=10.0):
        """Waits until `condition()` is true and returns its value. `what` is a word for the failure, or a function."""
        deadline = time.monotonic() + within_s
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s} s: {what() if callable(what) else what}")
            time.sleep(0.01)

    def close(self):
        for action in reversed(self._closing):
            action()
        for daemon in self.daemons:
            daemon.kill()


def log_tails(folder):
    """The last lines of every log in a test's folder, without the requests for /stats and /ping that waiting made."""
    tails = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".log"):
            with open(os.path.join(folder, name), errors="replace") as log:
                lines = [line[:LOG_LINE_CHARACTERS_MAX] for line in log.read().splitlines()
                         if " 200 GET /stats" not in line and " 200 GET /ping" not in line]
            tails.append(f"--- {name}\n" + "\n".join(lines[-LOG_TAIL_LINES:]))
    return "\n".join(tails)
