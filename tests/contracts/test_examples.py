"""Every example is a valid event of its type, and every event has one."""

import json
from collections import Counter

import pytest
from google.protobuf.json_format import MessageToJson, ParseError

from services.kit.ids import is_id
from tests.contracts.examples import Example, event_types, examples, topics


@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example_is_its_protos_own_json(example: Example) -> None:
    # Said back, nothing is lost and nothing is spelt out that the wire does not carry.
    assert json.loads(MessageToJson(example.message)) == example.fields


@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example_names_the_key_of_its_topic(example: Example) -> None:
    keys = [field for field in ("orderId", "contractId", "partId") if field in example.fields]
    assert keys, "no field that could be its key"
    assert keys[0].removesuffix("Id") in topics()[example.topic]["key"]
    assert all(is_id(example.fields[key]) for key in keys)


def test_every_event_has_an_example() -> None:
    assert {example.type for example in examples()} == set(event_types())


def test_every_field_appears_in_some_example() -> None:
    never_shown = []
    for full_name in event_types():
        shown = Counter(key for one in examples() if one.type == full_name for key in _keys(one.fields))
        message = next(one.message for one in examples() if one.type == full_name)
        never_shown += [
            f"{full_name}.{field.name}" for field in message.DESCRIPTOR.fields if not shown[field.json_name]
        ]
    assert never_shown == []


def test_an_example_with_an_unknown_field_would_be_seen() -> None:
    example = examples()[0]
    wrong = Example(example.type, example.path, json.dumps({**example.fields, "colour": "blue"}))
    with pytest.raises(ParseError):
        _ = wrong.message


def _keys(fields: object) -> list[str]:
    if isinstance(fields, dict):
        return [*fields, *(key for value in fields.values() for key in _keys(value))]
    if isinstance(fields, list):
        return [key for value in fields for key in _keys(value)]
    return []
