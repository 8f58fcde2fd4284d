"""What the comparisons have in common: starting daemons, running the load generator, figures and their tables."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30
RUN_SECONDS_MAX = 1800
START_ATTEMPTS_MAX = 3
GENERATOR_SHARE_MAX = 0.95


class Failed(Exception):
    """A run that gives no figure."""


class Figure:
    """One number of a report: where it is, what it is called, and which direction is better."""

    def __init__(self, label, path, unit="", scale=1.0, smaller_is_better=False):
        self.label, self.path, self.unit = label, path.split("/"), unit
        self.scale, self.smaller_is_better = scale, smaller_is_better

    def of(self, report):
        value = report
        for key in self.path:
            value = value.get(key) if isinstance(value, dict) else None
        return None if value is None else value * self.scale

    def ratio(self, ours, reference):
        above, below = (reference, ours) if self.smaller_is_better else (ours, reference)
        return above / below if below else None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pin(cpus):
    """For preexec_fn: bind the child to these CPUs, if any were named."""
    return (lambda: os.sched_setaffinity(0, cpus)) if cpus else None


class Daemon:
    """One process on free loopback ports."""

    def __init__(self, binary, flags, directory, cpus, start_seconds_max=START_SECONDS_MAX):
        self.binary, self.flags, self.cpus = binary, flags, cpus
        self.start_seconds_max = start_seconds_max
        self.process, self.log = None, directory / "log"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGTERM)

    def start(self):
        """Starts and waits for /ping. Returns the seconds from start to answer."""
        error = None
        for _ in range(START_ATTEMPTS_MAX):
            # Another process may take a port between our look and the daemon's bind; then we look again.
            self.tcp, self.http = (f"127.0.0.1:{free_port()}" for _ in range(2))
            began = time.monotonic()
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    [self.binary, f"--tcp-address={self.tcp}", f"--http-address={self.http}",
                     "--log-level=warn", *self.flags],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=pin(self.cpus))
            try:
                self.await_ping(began + self.start_seconds_max)
                return time.monotonic() - began
            except Failed as failure:
                error = failure
                self.stop(signal.SIGKILL)
        raise error

    def await_ping(self, deadline):
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"server ended with status {self.process.returncode}: {self.last_words()}")
            try:
                self.get("/ping")
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.002)
        raise Failed("server did not answer /ping in time")

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=60) as answer:
            return answer.read()

    def stop(self, how):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "nothing in its log"


def bench(program, arguments, daemon, cpus):
    """Runs the load generator against a daemon; its report."""
    command = [program, "--json", "--tcp-address", daemon.tcp, "--http-address", daemon.http,
               "--server-pid", str(daemon.process.pid), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS_MAX,
                              preexec_fn=pin(cpus))
    except subprocess.TimeoutExpired as late:
        raise Failed(f"no report within {RUN_SECONDS_MAX} s") from late
    if done.returncode != 0:
        raise Failed(f"{done.stderr.strip() or done.returncode}; server: {daemon.last_words()}")
    report = json.loads(done.stdout)
    if report.get("server_cpu_seconds") is not None and report.get("seconds"):
        report["cpu_percent"] = 100 * report["server_cpu_seconds"] / report["seconds"]
    return report


def in_turns(name, systems, repeat, run_once):
    """The runs of each system by its key, A B A B ...; one that failed has only its reason."""
    runs = {system.key: [] for system in systems}
    for turn in range(repeat):
        for system in systems:
            print(f"{name}: {system.key}, run {turn + 1} of {repeat}", file=sys.stderr, flush=True)
            try:
                runs[system.key].append(run_once(system))
            except (Failed, OSError, ValueError, KeyError) as failure:
                print(f"  failed: {failure}", file=sys.stderr, flush=True)
                runs[system.key].append({"failed": str(failure)})
    return runs


def any_failed(runs):
    return any("failed" in run for run in runs)


def number(value):
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def cell(values, figure):
    if not values:
        return "–"
    spread = f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""
    return f"{number(statistics.median(values))}{figure.unit}{spread}"


def values_of(runs, figure):
    """The figure of each valid run; one failed run voids the cell, since a median of the lucky ones flatters."""
    if any_failed(runs):
        return []
    return [value for value in (figure.of(run) for run in runs) if value is not None]


def ratio_of(ours, reference, figure):
    """Of the medians; above 1 is in our favour."""
    return figure.ratio(statistics.median(ours), statistics.median(reference)) if ours and reference else None


def ratio_cell(ratio):
    return "–" if ratio is None else f"{number(ratio)}×"


def generator_bound(runs, threads):
    """The load generator had no CPU time to spare in some run: the figure is a lower bound of the server's."""
    return any(run.get("client_cpu_seconds", 0) > GENERATOR_SHARE_MAX * threads * run.get("seconds", 0) > 0
               for run in runs)


def table(head, body):
    """Lines of Markdown."""
    def line(cells):
        return "| " + " | ".join(cells) + " |"

    return [line(head), "|" + "---|" * len(head), *map(line, body)]


def version(binary):
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10)
    return (done.stdout or done.stderr).strip().partition("\n")[0] or "unknown"


def describe_machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{model}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release()}",
        "load average at start": f"{os.getloadavg()[0]:.2f}",
    }


def describe_pins(options):
    if not (options.server_cpus or options.bench_cpus):
        return {}
    return {"pinned": f"server to {options.server_cpus or 'any'}, load generator to {options.bench_cpus or 'any'}"}


def write_json(path, document):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def names(text):
    return [name for name in text.split(",") if name]


def cpus(text):
    return {int(cpu) for cpu in names(text)}


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def check_executables(parser, options, *options_with_paths):
    for name in options_with_paths:
        path = getattr(options, name)
        if path and not os.access(path, os.X_OK):
            parser.error(f"--{name}: {path} is not an executable (build with: cargo build --release)")


def exit_with(main):
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
