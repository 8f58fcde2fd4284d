"""The samples in deploy/ are what the daemons take: they start with them, every option of them is known, the units fit."""

import os
import re

from lib import http
from lib.case import test

DEPLOY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "deploy")
PROGRAMS = ["nsqd", "nsqlookupd"]


def sample(program):
    with open(os.path.join(DEPLOY, program + ".cfg")) as file:
        return file.read()


def start(case, program, config):
    flags = [f"--config={config}"]
    if program == "nsqd":
        return case.nsqd(*flags)
    return case.nsqlookupd(*flags, f"--state-file={os.path.join(os.path.dirname(config), 'state')}")


@test(timeout_s=60, beyond_nsq=True, variants=PROGRAMS)
def a_daemon_starts_with_its_sample(case, variant):
    daemon = start(case, variant, write(case, variant, sample(variant)))
    assert daemon.stop() == 0
    assert " WARNING: config" not in daemon.log_text(), daemon.log_text()


@test(timeout_s=60, beyond_nsq=True, variants=PROGRAMS)
def what_the_sample_leaves_out_is_known_and_at_its_default(case, variant):
    text = sample(variant)
    left_out = dict(re.findall(r"^# ([a-z0-9_]+) = (.*)$", text, re.MULTILINE))
    assert len(left_out) >= 3, left_out
    daemon = start(case, variant, write(case, variant, re.sub(r"^# ([a-z0-9_]+ = )", r"\1", text, flags=re.MULTILINE)))
    if variant == "nsqd":
        bare = case.nsqd()
        # Names of machines, and what is off by default, are examples.
        examples = {"broadcast_address", "nsqlookupd_tcp_addresses", "e2e_processing_latency_percentiles"}
        for key in left_out.keys() - examples:
            values = [http.request(d.http_address, "GET", f"/config/{key}") for d in (daemon, bare)]
            assert values[0] == values[1] and values[0][0] == 200, (key, values)
    assert daemon.stop() == 0
    assert " WARNING: config" not in daemon.log_text(), daemon.log_text()


@test(timeout_s=20, beyond_nsq=True, variants=PROGRAMS)
def a_unit_fits_the_sample_and_the_exit_codes(case, variant):
    with open(os.path.join(DEPLOY, variant + ".service")) as file:
        unit = dict(line.strip().split("=", 1) for line in file if re.match("[A-Z]", line))
    assert unit["ExecStart"] == f"/usr/bin/{variant} --config=/etc/nsq/{variant}.cfg", unit
    directory = f"/var/lib/{unit['StateDirectory']}"
    assert f'"{directory}' in sample(variant), directory
    # What a restart cannot mend is not repeated; a failed log, 74, is.
    assert unit["RestartPreventExitStatus"].split() == ["1", "2"] and unit["Restart"] == "on-failure", unit


def write(case, program, text):
    path = os.path.join(case.folder, program + ".cfg")
    with open(path, "w") as file:
        file.write(text)
    return path
