"""proto/ -> services/contracts/ and proto/asyncapi.yaml. With --check nothing is written: a difference is a failure.

Usage: python deploy/proto/generate.py [--check]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from asyncapi import document
from google.protobuf.descriptor_pb2 import FileDescriptorSet

PROJECT = Path(__file__).resolve().parents[2]
PROTO = PROJECT / "proto"
# Imports of google/protobuf/*.proto are found beside the compiler.
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def main() -> int:
    is_check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not is_check:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        files = generate(Path(folder))
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if is_check:
        for path in stale:
            print(f"{path.relative_to(PROJECT)} is not what proto/ gives: run `make proto`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        print(f"wrote {path.relative_to(PROJECT)}")
    return 0


def generate(folder: Path) -> dict[Path, str]:
    """Return each generated file's place in the project and its text; `folder` is where the compiler may write."""
    protos = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("**/v*/*.proto"))
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{WELL_KNOWN}"]
    plugin = Path(sys.executable).parent / "protoc-gen-mypy"
    subprocess.run(
        [
            *compiler,
            f"--plugin=protoc-gen-mypy={plugin}",
            f"--python_out={folder}",
            f"--mypy_out=quiet:{folder}",
            f"--descriptor_set_out={folder / 'all.binpb'}",
            "--include_source_info",
            *protos,
        ],
        check=True,
    )
    contracts = PROJECT / "services/contracts"
    files = {
        contracts / path.relative_to(folder): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*_pb2.py*"))
    }
    for package in {
        parent for path in list(files) for parent in path.parents if contracts in (parent, *parent.parents)
    }:
        files[package / "__init__.py"] = '"""Generated from proto/; never edited."""\n'
    descriptors = FileDescriptorSet.FromString((folder / "all.binpb").read_bytes())
    files[PROTO / "asyncapi.yaml"] = document(PROTO, descriptors)
    return files


if __name__ == "__main__":
    sys.exit(main())
