"""A real nginx with the gateway's own configuration, in front of three stand-ins that say their name."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, SIGQUIT
from types import TracebackType
from typing import Self

from tests.servers.parts import LOGS, PROJECT, Unavailable, answers, free_port, install, output_of, program
from tests.servers.process import ServerProcess, wait_for

CONFIGURATION = PROJECT / "deploy/gateway/nginx.conf"
START_SECONDS = 20


class NginxServer:
    """The gateway on `origin`; `ports` says where each upstream of the configuration really is."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._program = _program()
        self.version = output_of(self._program, "-v").rpartition("/")[2]
        self._port = free_port()
        self.origin = f"http://127.0.0.1:{self._port}"
        self._folder = tempfile.TemporaryDirectory(prefix="tournee-nginx-")
        text = CONFIGURATION.read_text(encoding="utf-8").replace("/tmp/", f"{self._folder.name}/")
        text = text.replace("listen 8080;", f"listen 127.0.0.1:{self._port};")
        for name, port in ports.items():
            text = text.replace(f"server {name}:8000;", f"server 127.0.0.1:{port};")
        self._configuration = Path(self._folder.name) / "nginx.conf"
        # Its workers drop root's rights, and could not enter our folder.
        self._configuration.write_text(f"user root;\ndaemon off;\n{text}", encoding="utf-8")
        self._process: ServerProcess | None = None

    @property
    def description(self) -> str:
        return f"nginx {self.version} at {self.origin}"

    def __enter__(self) -> Self:
        LOGS.mkdir(parents=True, exist_ok=True)
        self._process = ServerProcess(
            [self._program, "-c", self._configuration, "-p", self._folder.name], log=LOGS / f"nginx-{self._port}.log"
        )
        if not wait_for(lambda: answers(self._port), seconds=START_SECONDS):
            last_words = self._process.last_words()
            self._process.stop(SIGKILL)
            raise RuntimeError(f"nginx did not start within {START_SECONDS} s:\n{last_words}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.stop(SIGQUIT)
        self._folder.cleanup()


def _program() -> Path:
    for attempt in ("found", "installed"):
        # It lives where only root's PATH looks.
        for path in (program("nginx"), Path("/usr/sbin/nginx")):
            if path is not None and re.match(r"nginx version", output_of(path, "-v")):
                return path
        if attempt == "found":
            install("nginx-light")
    raise Unavailable("no nginx")
