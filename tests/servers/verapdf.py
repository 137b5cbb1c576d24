"""veraPDF, the reference validator of PDF/A: its jar is fetched by Maven."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.servers.jars import jars, java
from tests.servers.parts import PROJECT

POM = PROJECT / "deploy/verapdf/pom.xml"
MOST_SECONDS = 180


class VeraPdf:
    """The validator, ready to be asked."""

    def __init__(self) -> None:
        self._java = java()
        self._jars, self.version = jars(POM, "verapdf")

    @property
    def description(self) -> str:
        return f"veraPDF {self.version}"

    def refused(self, files: Sequence[Path]) -> list[str]:
        """Return those of the files that are not PDF/A-3B, by name; all of them where it could not look at one."""
        command: list[str | Path] = [
            self._java,
            "-Xmx512m",
            "-cp",
            f"{self._jars}/*",
            "org.verapdf.apps.GreenfieldCliWrapper",
        ]
        done = subprocess.run(
            [*command, "--format", "text", "--flavour", "3b", *files],
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
        passed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("PASS ")}
        return [file.name for file in files if str(file) not in passed]
