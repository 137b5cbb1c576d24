"""An OpenStreetMap extract becomes the network that OSRM rides on: built aside, tried out, switched to in one step.

In the service's data folder, `network/current.json` names the folder beside it that is in force; whoever rides on it
looks there. Built with the tools that come with `osrm-bindings`.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from services.kit.errors import DomainError

PROFILE = "cargo_bike"
Bounds = tuple[float, float, float, float]
"""West, south, east, north in WGS 84 degrees."""

FILE = "streets.osrm"
_PROFILE_FILE = Path(__file__).parent / f"{PROFILE}.lua"
_ABANDONED_AFTER_SECONDS = 24 * 3600
_LONGEST_BUILD_SECONDS = 3600


class NetworkNotBuilt(DomainError):
    """Travel times cannot be had from this extract; those in force stay."""

    code = "network-not-built"
    title = "Temps de trajet non calculés"


@dataclass(frozen=True, slots=True)
class Network:
    """A network in force; `name` is its folder, `dataset` changes with the extract, the profile and OSRM's version."""

    name: str
    dataset: str
    profile: str
    data_date: str
    bounds: Bounds
    imported_at: str


def can_build() -> bool:
    """Return whether OSRM is here: its wheels begin at Python 3.12."""
    return _osrm_folder() is not None


def data_file(data_dir: Path, network: Network) -> Path:
    """Return what OSRM calls the network's file: many begin with it."""
    return data_dir / "network" / network.name / FILE


def pointer(data_dir: Path) -> Path:
    """Return the file that names the network in force; absent while there is none."""
    return data_dir / "network" / "current.json"


def current(data_dir: Path) -> Network | None:
    """Return the network in force, or None. A pointer that cannot be read is none."""
    try:
        facts = json.loads(pointer(data_dir).read_text(encoding="utf-8"))
        return Network(**{**facts, "bounds": tuple(facts["bounds"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def built(extract: Path, data_dir: Path) -> Iterator[Path]:
    """Build the network of an extract in a folder aside, and remove that unless it was put in force meanwhile.

    Contracted, not partitioned: a city is imported now and then and asked all day, and answers seven times as fast.
    Takes seconds for a commune. Raises NetworkNotBuilt.
    """
    osrm = _osrm_folder()
    if osrm is None:
        raise NetworkNotBuilt(
            f"Installez osrm-bindings, qui demande Python 3.12 au moins, puis importez de nouveau {extract.name}."
        )
    home = data_dir / "network"
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home)
    with tempfile.TemporaryDirectory(dir=home, prefix=".building-") as name:
        folder = Path(name) / "network"
        folder.mkdir()
        file, profiles = folder / FILE, osrm / "share" / "profiles"
        options: list[str | Path] = [
            "-l",
            "WARNING",
            "-d",
            "osmosis",
            "-p",
            _PROFILE_FILE,
            "-o",
            file,
            extract.resolve(),
        ]
        _run(osrm / "bin" / "osrm-extract", options, extract, {"LUA_PATH": f"{profiles}/?.lua;;"})
        _run(osrm / "bin" / "osrm-contract", ["-l", "WARNING", file], extract, {})
        yield folder


def put_in_force(folder: Path, extract: Path, data_dir: Path, bounds: Bounds, data_date: str) -> Network:
    """Put a network that was built aside in force, in one step; running services find it at their next question.

    `data_date` is what the data says of its age; where it says nothing the extract's own date stands for it. The
    network before is kept for whoever is just loading it; older ones are removed. Two imports at once do so one after
    the other.
    """
    home = os.open(data_dir / "network", os.O_RDONLY)
    try:
        fcntl.flock(home, fcntl.LOCK_EX)
        return _switched(folder, extract, data_dir, bounds, data_date)
    finally:
        os.close(home)  # and others may go on


def _switched(folder: Path, extract: Path, data_dir: Path, bounds: Bounds, data_date: str) -> Network:
    home = data_dir / "network"
    before, now = current(data_dir), datetime.now(UTC)
    network = Network(
        name=f"{now:%Y%m%dT%H%M%S%f}",
        dataset=f"osrm {PROFILE} {_fingerprint(extract)}",
        profile=PROFILE,
        data_date=data_date or f"{datetime.fromtimestamp(extract.stat().st_mtime, UTC):%Y-%m-%d}",
        bounds=bounds,
        imported_at=now.isoformat(timespec="seconds"),
    )
    folder.rename(home / network.name)
    aside = home / f".{network.name}.json"
    aside.write_text(json.dumps(asdict(network), indent=2) + "\n", encoding="utf-8")
    aside.replace(pointer(data_dir))
    kept = {network.name, before.name if before else ""}
    for other in home.iterdir():
        if other.is_dir() and not other.name.startswith(".") and other.name not in kept:
            shutil.rmtree(other, ignore_errors=True)
    return network


def _osrm_folder() -> Path | None:
    """Return where OSRM is installed, without loading it."""
    found = importlib.util.find_spec("osrm")
    places = list(found.submodule_search_locations or []) if found else []
    return Path(places[0]) if places and (Path(places[0]) / "bin" / "osrm-extract").is_file() else None


def _run(tool: Path, options: Sequence[str | Path], extract: Path, environment: dict[str, str]) -> None:
    """Run one of OSRM's tools. Raises NetworkNotBuilt with what it said last."""
    try:
        done = subprocess.run(  # noqa: S603 - a tool of the wheel, on a file that was named to us
            [str(part) for part in (tool, *options)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_built(extract, str(error)) from error
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "[warn]" not in line and line.strip()]
        last = re.sub(r"^\[[^]]*\] \[\w+\] ?|^\s*what\(\):\s*|\S+\.[ch]pp:\d+$", "", said[-1]).strip() if said else ""
        raise _not_built(extract, last or f"{tool.name} s'est arrêté ({done.returncode})")


def _not_built(extract: Path, why: str) -> NetworkNotBuilt:
    return NetworkNotBuilt(
        f"Les rues de {extract.name} ne donnent pas de temps de trajet ({why}) : rien n'a changé, vérifiez l'extrait "
        "ou téléchargez-le de nouveau."
    )


def unusable(extract: Path) -> NetworkNotBuilt:
    """Return the refusal of a network that was built and on which nothing can be ridden."""
    return _not_built(extract, "aucun trajet à vélo n'y a été trouvé")


def _fingerprint(extract: Path) -> str:
    """Return twelve characters that change with what answers depend on."""
    digest = hashlib.sha256(metadata.version("osrm-bindings").encode() + _PROFILE_FILE.read_bytes())
    with extract.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:12]


def _sweep(home: Path) -> None:
    """Remove what builds that were killed have left."""
    for folder in home.glob(".building-*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
