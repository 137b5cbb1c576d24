"""Failpoints are inert unless asked for, and the list of them is the truth."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import services
from services.kit.failpoints import FAILPOINTS, failpoint


def run(code: str, setting: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TOURNEE_FAILPOINT": setting},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


PASS_THREE_TIMES = """
from services.kit.failpoints import failpoint
for number in range(3):
    failpoint("relay.after_publish")
    print(number, flush=True)
"""


def test_nothing_happens_unless_asked_for() -> None:
    for name in FAILPOINTS:
        failpoint(name)
    assert run(PASS_THREE_TIMES, "").stdout.split() == ["0", "1", "2"]
    assert run(PASS_THREE_TIMES, "relay.before_publish").stdout.split() == ["0", "1", "2"]


def test_the_process_dies_at_the_passage_that_was_asked_for() -> None:
    first, third = run(PASS_THREE_TIMES, "relay.after_publish"), run(PASS_THREE_TIMES, "relay.after_publish:3")
    assert (first.returncode, first.stdout.split()) == (-signal.SIGKILL, [])
    assert (third.returncode, third.stdout.split()) == (-signal.SIGKILL, ["0", "1"])


def test_an_unknown_failpoint_is_refused_before_anything_starts() -> None:
    done = run("import services.kit.failpoints", "relay.nowhere")
    assert done.returncode == 1
    assert "names no failpoint: 'relay.nowhere'" in done.stderr


def test_every_failpoint_stands_in_the_code_and_every_one_in_the_code_is_listed() -> None:
    kit = Path(services.__file__).parent / "kit"
    code = "".join(file.read_text(encoding="utf-8") for file in kit.rglob("*.py"))
    assert set(re.findall(r'failpoint\("([^"]+)"\)', code)) == set(FAILPOINTS)
