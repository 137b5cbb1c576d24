"""The set-up finds a Python that really runs, and says what is missing instead of guessing."""

import shlex
import subprocess
import sys
from pathlib import Path

from tests.servers.parts import PROJECT

SETUP = PROJECT / "deploy/setup"


def _run(script: str, *arguments: str, path: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", SETUP / script, *arguments],
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def test_a_name_on_the_path_that_runs_nothing_is_passed_over(tmp_path: Path) -> None:
    # As version managers leave them: the newest names first on PATH, none of them chosen.
    for minor in (11, 12, 13):
        _program(tmp_path / f"pyenv/shims/python3.{minor}", 'echo "no version is set" >&2; exit 127')
    real = _program(
        tmp_path / f"pyenv/versions/3.{sys.version_info.minor}.9/bin/python", f'exec {shlex.quote(sys.executable)} "$@"'
    )
    found = _run("find-python.sh", path=f"{tmp_path}/pyenv/shims:/usr/bin:/bin", HOME="/nowhere")
    assert found.returncode == 0, found.stderr
    chosen = found.stdout.strip()
    assert chosen == str(real) or not chosen.startswith(str(tmp_path))
    version = subprocess.run(
        [chosen, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, check=True
    )
    assert version.stdout.split() >= [b"3", str(sys.version_info.minor).encode()]


def test_without_rights_nothing_is_installed_and_the_command_is_told(tmp_path: Path) -> None:
    _program(tmp_path / "id", "echo 1000")
    _program(tmp_path / "apt-get", "echo it was called; exit 1")
    done = _run("debian-install.sh", "some-package", path=str(tmp_path))
    assert done.returncode == 3
    assert "sudo apt-get install some-package" in done.stderr
    assert "it was called" not in done.stdout


def test_without_apt_the_packages_are_told(tmp_path: Path) -> None:
    done = _run("debian-install.sh", "some-package", path=str(tmp_path))
    assert done.returncode == 3
    assert "some-package" in done.stderr
