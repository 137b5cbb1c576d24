"""A part that cannot be had is loud: skipped and named at the end, and a failure where parts are required."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.parts import PROJECT

TEST = ["tests/servers/test_servers.py", "-k", "webgl"]


def _run_browser_test(path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the test that needs Chromium on a machine where only `path` has programs: it has no Chromium, no apt-get."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *TEST, "-p", "no:cacheprovider", *options],
        cwd=PROJECT,
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("side_by_side", [(), ("-n", "2")])
def test_a_missing_part_skips_its_tests_and_is_named_at_the_end(side_by_side: tuple[str, ...], tmp_path: Path) -> None:
    run = _run_browser_test(tmp_path, *side_by_side)
    assert run.returncode == 0, run.stdout
    assert "1 skipped" in run.stdout
    assert "PARTS NOT AVAILABLE" in run.stdout
    assert "Chromium: chromium: no apt-get on this machine" in run.stdout


@pytest.mark.parametrize("variable", [{"CI": "true"}, {"REQUIRE_PARTS": "1"}])
def test_a_missing_part_fails_where_parts_are_required(variable: dict[str, str], tmp_path: Path) -> None:
    run = _run_browser_test(tmp_path, **variable)
    assert run.returncode == 1, run.stdout
    assert "Chromium is required here and not available" in run.stdout
