"""The machine's own Chromium, and the arguments with which it draws maps without a graphics card and calls nobody."""

import re
from dataclasses import dataclass
from pathlib import Path

from playwright._impl._driver import compute_driver_executable

from tests.servers.parts import Unavailable, install, output_of, program

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # it refuses root otherwise; it only sees our own pages
    "--disable-gpu",
    "--use-angle=swiftshader",  # WebGL in software, for the map
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


@dataclass(frozen=True)
class Chromium:
    """A browser that can be started."""

    path: Path
    version: str
    arguments: tuple[str, ...] = ARGUMENTS

    @property
    def description(self) -> str:
        return f"Chromium {self.version} at {self.path}"


def find() -> Chromium:
    """Find Chromium, or install it, and see that Playwright can drive it. Raises Unavailable."""
    if not output_of(compute_driver_executable()[0], "--version"):
        install("libatomic1")  # what Playwright's own Node.js misses on a small system
    for attempt in ("found", "installed"):
        if (path := program(*NAMES)) is not None:
            version = re.search(r"\d+(\.\d+)+", output_of(path, "--version"))
            if version:
                return Chromium(path, version[0])
        if attempt == "found":
            install("chromium")
    raise Unavailable("no Chromium that starts")
