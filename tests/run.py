#!/usr/bin/env python3
"""Runs the whole-process tests: every test in a process group of its own, under a time-out.

    tests/run.py                      all of them, with the daemons in target/release
    tests/run.py restart cross_core   those whose name contains one of the words
    tests/run.py --list
    tests/run.py --bin-dir DIR --foreign   with NSQ's own daemons: flags that only ours have are left out
    tests/run.py --seed 7 --set kills=200 acked_survives_kill
    tests/run.py --transport=glommio  nsqd on glommio's sockets and not on its own ring
"""

import argparse
import importlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from lib.case import Case, log_tails, registry  # noqa: E402  (the path comes first)


def collect():
    """Imports every file of tests; they register themselves."""
    for path in sorted([*TESTS.glob("*.py"), *TESTS.glob("clients/*.py")]):
        module = ".".join(path.relative_to(TESTS).with_suffix("").parts)
        if module != "run" and not module.endswith("__init__"):
            importlib.import_module(module)
    return registry


def run_here(name, folder, options):
    """Runs one test in this process. Returns whether it passed."""
    test = collect()[name]
    case = Case(folder, str(options.bin_dir), options.seed, options.foreign, dict(options.set),
                options.transport)
    try:
        test.function(case, test.variant) if test.variant else test.function(case)
        return True
    except BaseException:  # An interrupt too must stop the daemons and show where we were.
        traceback.print_exc()
        return False
    finally:
        case.close()


def run_apart(name, options, argv):
    """Runs one test in a process group of its own. Returns whether it passed."""
    timeout_s = registry[name].timeout_s * options.patience
    folder = tempfile.mkdtemp(prefix="nsq-test-", dir=options.scratch)
    output = os.path.join(folder, "output.txt")
    started = time.monotonic()
    with open(output, "wb") as out:
        child = subprocess.Popen([sys.executable, __file__, *argv, "--here", name, "--folder", folder],
                                 stdout=out, stderr=out, start_new_session=True)
        try:
            passed = child.wait(timeout_s) == 0
            timed_out = False
        except subprocess.TimeoutExpired:
            passed, timed_out = False, True
        finally:
            end_group(child)
    took_s = time.monotonic() - started
    with open(output, errors="replace") as text:
        report = text.read()
    if options.foreign and registry[name].beyond_nsq:
        print(f"ok   {name} ({took_s:.1f} s): {'passes with NSQ too' if passed else 'fails with NSQ, as known'}", flush=True)
        passed, report = True, report if options.keep else ""
    else:
        print(f"{'ok  ' if passed else 'FAIL'} {name} ({took_s:.1f} s)", flush=True)
    if not passed:
        if timed_out:
            print(f"  still running after {timeout_s} s")
        print(f"  seed {options.seed}; repeat with: tests/run.py --seed {options.seed} '{name}'")
        print(report + log_tails(folder), flush=True)
    elif report:
        print("".join("     " + line + "\n" for line in report.splitlines()), end="", flush=True)
    if options.keep and not passed:
        print(f"  kept: {folder}", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return passed


def end_group(child):
    """Ends a test and every daemon or client that it left behind; they are all in its group."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def assignment(text):
    name, _, value = text.partition("=")
    return name, value


def parse(argv):
    parser = argparse.ArgumentParser(description="Whole-process tests.")
    parser.add_argument("words", nargs="*", help="run the tests whose name contains one of these")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=os.environ.get("NSQ_BIN_DIR", ROOT / "target/release"),
                        help="where nsqd and nsqlookupd are (default: $NSQ_BIN_DIR or target/release)")
    parser.add_argument("--foreign", action="store_true", help="the daemons are NSQ's own: leave out flags of ours")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--set", type=assignment, action="append", default=[], metavar="NAME=VALUE",
                        help="a parameter of a test, such as kills=200")
    parser.add_argument("--transport", choices=["auto", "ring", "glommio"], default="auto",
                        help="with which sockets nsqd works, where a test does not say it itself")
    parser.add_argument("--patience", type=float, default=1.0, help="factor on every time-out")
    parser.add_argument("--scratch", type=pathlib.Path, default=os.environ.get("NSQ_TEST_SCRATCH", ROOT / ".cache/tests"),
                        help="where data directories go; /tmp is often in memory, which would test nothing of the disk")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a failed test")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv):
    options = parse(argv)
    options.bin_dir = pathlib.Path(options.bin_dir).resolve()
    if options.here:
        return 0 if run_here(options.here, options.folder, options) else 1
    names = [n for n in collect() if not options.words or any(word in n for word in options.words)]
    if options.list:
        print("\n".join(names))
        return 0
    for program in ("nsqd", "nsqlookupd"):
        if not (options.bin_dir / program).is_file():
            print(f"no {program} in {options.bin_dir}: build it first (cargo build --release)")
            return 2
    options.scratch = pathlib.Path(options.scratch).resolve()
    options.scratch.mkdir(parents=True, exist_ok=True)
    failed = [n for n in names if not run_apart(n, options, [*argv, "--seed", str(options.seed)])]
    for name in failed:
        print(f"failed: {name}")
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
