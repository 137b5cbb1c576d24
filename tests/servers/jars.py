"""Programs in Java: the machine's own Java or an installed one, and jars fetched by Maven as a pom.xml says."""

import os
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.servers.parts import CACHE, INSTALL_SECONDS, Unavailable, install, one_at_a_time, output_of, program

OLDEST_JAVA = 17


def java() -> Path:
    """Find Java 17 or newer, or install it. Raises Unavailable."""
    home = os.environ.get("JAVA_HOME")
    candidates = [Path(home) / "bin/java"] if home else []
    for _ in range(2):
        if (on_path := program("java")) is not None:
            candidates.append(on_path)
        for candidate in candidates:
            found = re.search(r'version "(\d+)', output_of(candidate, "-version"))
            if found and int(found[1]) >= OLDEST_JAVA:
                return candidate
        install("default-jre-headless")
    raise Unavailable(f"Java {OLDEST_JAVA} or newer is needed")


def jars(pom: Path, name: str) -> tuple[Path, str]:
    """Return the folder of a program's jars, fetched once, and its version: the property `{name}.version` of the pom.

    Raises Unavailable.
    """
    version = ET.parse(pom).findtext(f".//{{*}}{name}.version") or ""
    folder = CACHE / f"{name}-{version}"
    complete = folder / "complete"
    with one_at_a_time(name):
        if complete.exists():
            return folder, version
        if (maven := program("mvn")) is None:
            install("maven")
            if (maven := program("mvn")) is None:
                raise Unavailable(f"{name} is fetched by Maven, and there is no mvn")
        try:
            done = subprocess.run(
                [maven, "-q", "-B", "--strict-checksums", "-f", pom, "package"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise Unavailable(f"fetching {name} took more than {INSTALL_SECONDS} s") from late
        if done.returncode:
            raise Unavailable(f"Maven could not fetch {name}: {(done.stdout + done.stderr).strip()[:600]}")
        complete.touch()
    return folder, version
