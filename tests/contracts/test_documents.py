"""What is made from proto/ is up to date and right: generated code, the AsyncAPI document, and the guard of v1."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import PartGetter
from tests.contracts.examples import PROTO, Example, event_types, examples, topics
from tests.servers.parts import CACHE, PROJECT, Unavailable, one_at_a_time

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((PROTO / "asyncapi.yaml").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the parts of the project that generate, to plant changes in."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("proto", "deploy/proto", "services/contracts"):
        shutil.copytree(PROJECT / name, folder / name)
    return folder


def test_generated_files_are_up_to_date() -> None:
    done = _run([sys.executable, PROJECT / "deploy/proto/generate.py", "--check"])
    assert done.returncode == 0, done.stderr


def test_a_stale_file_would_be_seen(copy: Path) -> None:
    proto = copy / "proto/orders/v1/events.proto"
    original = proto.read_text(encoding="utf-8")
    proto.write_text(
        original.replace("string reference = 2;", "string reference = 2; // said aloud,"), encoding="utf-8"
    )
    assert proto.read_text(encoding="utf-8") != original
    done = _run([sys.executable, copy / "deploy/proto/generate.py", "--check"])
    proto.write_text(original, encoding="utf-8")
    assert done.returncode == 1
    assert "proto/asyncapi.yaml" in done.stderr


def test_a_breaking_change_inside_v1_is_refused(copy: Path) -> None:
    buf: list[str | Path] = [BIN / "buf", "breaking", copy / "proto", "--against", copy / "proto/released.binpb"]
    unchanged = _run(buf)
    assert unchanged.returncode == 0, unchanged.stdout
    proto = copy / "proto/billing/v1/events.proto"
    original = proto.read_text(encoding="utf-8")
    proto.write_text(original.replace("int64 amount_cents = 3;", "double amount = 3;"), encoding="utf-8")
    assert proto.read_text(encoding="utf-8") != original
    broken = _run(buf)
    proto.write_text(original, encoding="utf-8")
    assert broken.returncode != 0
    assert "amount" in broken.stdout


def test_a_field_may_be_added_inside_v1(copy: Path) -> None:
    proto = copy / "proto/billing/v1/events.proto"
    original = proto.read_text(encoding="utf-8")
    added = original.replace("int64 amount_cents = 3;", "int64 amount_cents = 3;\n  string remark = 99;")
    proto.write_text(added, encoding="utf-8")
    done = _run([str(BIN / "buf"), "breaking", copy / "proto", "--against", copy / "proto/released.binpb"])
    proto.write_text(original, encoding="utf-8")
    assert done.returncode == 0, done.stdout


def test_the_document_is_asyncapi(document: dict[str, Any], published_schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(published_schema)
    assert [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(document)] == []


def test_a_wrong_document_would_be_seen(document: dict[str, Any], published_schema: dict[str, Any]) -> None:
    wrong = {**document, "operations": {"x": {"action": "shout", "channel": {"$ref": "#/channels/orders.v1"}}}}
    assert not jsonschema.Draft7Validator(published_schema).is_valid(wrong)


def test_the_document_points_at_nothing_that_is_missing(document: dict[str, Any]) -> None:
    for reference in _references(document):
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in target, reference
            target = target[step]


def test_the_document_tells_every_topic_and_event(document: dict[str, Any]) -> None:
    assert set(document["channels"]) == set(topics())
    assert set(document["components"]["messages"]) == set(event_types())
    told = {
        (operation["action"], name.partition("_")[0], operation["channel"]["$ref"].rpartition("/")[2])
        for name, operation in document["operations"].items()
    }
    assert told == {("send", facts["owner"], topic) for topic, facts in topics().items()} | {
        ("receive", reader, topic) for topic, facts in topics().items() for reader in facts["readers"]
    }


def test_every_event_of_the_document_says_what_it_means(document: dict[str, Any]) -> None:
    assert [name for name, message in document["components"]["messages"].items() if not message["summary"]] == []


@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example_fits_the_document(example: Example, document: dict[str, Any]) -> None:
    # References of the form #/components/schemas/... are looked up from the schema's own root.
    schema = {"$ref": f"#/components/schemas/{example.type}", "components": document["components"]}
    jsonschema.validate(example.fields, schema, jsonschema.Draft7Validator)


@pytest.fixture(scope="module")
def published_schema(part: PartGetter) -> dict[str, Any]:
    """The JSON schema of AsyncAPI 3.0, as its authors publish it: fetched once through npm, by its hash."""
    return part("AsyncAPI's JSON schema", _fetch_schema)


def _fetch_schema() -> dict[str, Any]:
    folder = CACHE / "asyncapi"
    file = folder / "node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
    with one_at_a_time("asyncapi"):
        if not file.exists():
            folder.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PROJECT / "deploy/proto" / name, folder)
            done = _run([BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
            if done.returncode:
                raise Unavailable(f"npm could not fetch it: {done.stderr[-600:]}")
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def _run(command: list[str | Path], cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [reference for value in node.values() for reference in _references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in _references(value)]
    return []
