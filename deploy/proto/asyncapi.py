"""The AsyncAPI 3.0 document of the house: topics.yaml, the compiled protos with their comments, and the examples."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

Json = dict[str, Any]

ABOUT = """\
What the three services of Tournée tell each other. On the wire an event is a CloudEvents 1.0 message in binary mode:
attributes in headers, the value in plain protobuf, the key equal to the subject. The schemas here describe the same
messages in protobuf's JSON form (64-bit whole numbers as text, instants as RFC 3339, enum values by name). Delivery is
at least once: readers recognise a repeat by ce_id. Facts about one key stay in order.
Generated from proto/ by `make proto`.
"""

HEADERS: Json = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "UUIDv7; the same when an event is sent again"},
        "ce_source": {"type": "string", "description": "the service that says it, for example /orders"},
        "ce_type": {"type": "string", "description": "the protobuf full name, for example orders.v1.OrderPlaced"},
        "ce_subject": {"type": "string", "description": "the aggregate's id; also the key"},
        "ce_time": {"type": "string", "format": "date-time", "description": "when it happened"},
        "content-type": {"const": "application/protobuf"},
        "traceparent": {"type": "string", "description": "W3C trace context, when there is one"},
    },
}

INT64 = {"type": "string", "pattern": "^-?[0-9]+$", "format": "int64"}
SCALARS: Mapping[int, Json] = {
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptorProto.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptorProto.TYPE_INT64: INT64,
}
TIMESTAMP = ".google.protobuf.Timestamp"

# Field numbers of FileDescriptorProto and its parts, of which a comment's path is made.
MESSAGE_PART, ENUM_PART, FIELD_PART, VALUE_PART = 4, 5, 2, 2


class Comments(NamedTuple):
    """The comments of one file by the path of what they stand at."""

    by_path: Mapping[tuple[int, ...], str]

    @classmethod
    def of(cls, file: FileDescriptorProto) -> "Comments":
        found = {}
        for location in file.source_code_info.location:
            text = " ".join(f"{location.leading_comments} {location.trailing_comments}".split())
            if text:
                found[tuple(location.path)] = text
        return cls(found)

    def describe(self, schema: Json, *path: int) -> Json:
        """Return the schema with what the source says about it."""
        text = self.by_path.get(path)
        if not text:
            return schema
        # Beside a $ref, nothing else is read.
        return {"allOf": [schema], "description": text} if "$ref" in schema else {**schema, "description": text}


def document(folder: Path, descriptors: FileDescriptorSet) -> str:
    """Return the document as YAML. `folder` holds topics.yaml and examples/, `descriptors` comes with source info."""
    topics: Mapping[str, Json] = yaml.safe_load((folder / "topics.yaml").read_text(encoding="utf-8"))
    files = {file.package: file for file in descriptors.file}
    if missing := set(topics) ^ set(files):
        raise ValueError(f"topics.yaml and the protos do not agree on {sorted(missing)}")
    channels: Json = {}
    operations: Json = {}
    messages: Json = {}
    schemas: Json = {}
    for topic, facts in topics.items():
        file = files[topic]
        comments = Comments.of(file)
        said = {}
        for index, message in enumerate(file.message_type):
            name = f"{topic}.{message.name}"
            schemas[name] = _message_schema(message, comments, index)
            if _is_event(message, file):
                messages[name] = _message(name, comments, index, folder / "examples" / name)
                said[message.name] = {"$ref": f"#/components/messages/{name}"}
        for index, enum in enumerate(file.enum_type):
            schemas[f"{topic}.{enum.name}"] = _enum_schema(enum, comments, index)
        channels[topic] = _channel(topic, facts, said)
        operations.update(_operations(topic, facts))
    whole = {
        "asyncapi": "3.0.0",
        "info": {"title": "Tournée", "version": "1", "description": ABOUT, "license": {"name": "MIT"}},
        "defaultContentType": "application/protobuf",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas, "messageTraits": {"cloudEvent": {"headers": HEADERS}}},
    }
    head = "# Generated by `make proto` from topics.yaml, the protos and the examples; never edited.\n"
    return head + yaml.dump(whole, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def _channel(topic: str, facts: Json, said: Json) -> Json:
    keeps = "everything" if facts["retention_days"] == -1 else f"{facts['retention_days']} days"
    return {
        "address": topic,
        "summary": facts["why"],
        "description": f"Owner: {facts['owner']}. Readers: {', '.join(facts['readers'])}. "
        f"Key: {facts['key']}. Keeps {keeps}.",
        "messages": said,
        "bindings": {"kafka": {"topic": topic, "partitions": facts["partitions"], "bindingVersion": "0.5.0"}},
    }


def _operations(topic: str, facts: Json) -> Iterator[tuple[str, Json]]:
    package = topic.replace(".", "_")
    yield (
        f"{facts['owner']}_says_{package}",
        {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}, "summary": facts["why"]},
    )
    for reader in facts["readers"]:
        yield (
            f"{reader}_hears_{package}",
            {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{topic}"},
                "bindings": {"kafka": {"groupId": {"const": reader}, "bindingVersion": "0.5.0"}},
            },
        )


def _message(name: str, comments: Comments, index: int, examples: Path) -> Json:
    summary = comments.by_path.get((MESSAGE_PART, index), "")
    message: Json = {
        "name": name,
        "title": name.rpartition(".")[2],
        "summary": summary,
        "contentType": "application/protobuf",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }
    shown = [
        {"name": path.stem, "payload": json.loads(path.read_text(encoding="utf-8"))}
        for path in sorted(examples.glob("*.json"))
    ]
    return {**message, "examples": shown} if shown else message


def _message_schema(message: DescriptorProto, comments: Comments, index: int) -> Json:
    properties = {
        field.json_name: comments.describe(_field_schema(field), MESSAGE_PART, index, FIELD_PART, position)
        for position, field in enumerate(message.field)
    }
    schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return comments.describe(schema, MESSAGE_PART, index)


def _enum_schema(enum: EnumDescriptorProto, comments: Comments, index: int) -> Json:
    texts = {
        value.name: comments.by_path.get((ENUM_PART, index, VALUE_PART, position), "")
        for position, value in enumerate(enum.value)
    }
    schema: Json = {"type": "string", "enum": list(texts)}
    if about := "; ".join(f"{name}: {text}" for name, text in texts.items() if text):
        schema["description"] = about
    if text := comments.by_path.get((ENUM_PART, index)):
        schema["title"] = text
    return schema


def _field_schema(field: FieldDescriptorProto) -> Json:
    if field.type in (FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_ENUM):
        schema = (
            {"type": "string", "format": "date-time"}
            if field.type_name == TIMESTAMP
            else {"$ref": f"#/components/schemas/{field.type_name.lstrip('.')}"}
        )
    else:
        # A KeyError here is a kind of field that no event has had so far: give it its JSON form above.
        schema = dict(SCALARS[field.type])
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return {"type": "array", "items": schema}
    return schema


def _is_event(message: DescriptorProto, file: FileDescriptorProto) -> bool:
    """Tell a fact from a part of one: no other message of the file is made of it."""
    own = f".{file.package}.{message.name}"
    return all(field.type_name != own for other in file.message_type for field in other.field)


class _Plain(yaml.SafeDumper):
    """Long texts as blocks, and no anchors for repeated pieces."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)
