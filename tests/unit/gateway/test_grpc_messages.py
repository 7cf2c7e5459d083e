"""The private messages beside tritonclient's generated ones, in one process."""

from __future__ import annotations

from typing import Any

import pytest
from tritonclient.grpc import model_config_pb2, service_pb2

from modelloop.deploy.gateway.grpc.messages import ENUMS, messages, names

THEIRS = {**service_pb2.DESCRIPTOR.message_types_by_name, **model_config_pb2.DESCRIPTOR.message_types_by_name}


def found(name: str) -> Any:
    outer, _, inner = name.partition(".")
    return THEIRS[outer].nested_types_by_name[inner] if inner else THEIRS[outer]


def facts(field: Any) -> tuple[Any, ...]:
    kind = field.message_type.full_name if field.message_type else field.enum_type and field.enum_type.full_name
    choice = field.containing_oneof.name if field.containing_oneof else None
    return field.name, field.number, field.type, field.is_repeated, kind, choice


@pytest.mark.parametrize("name", list(names()))
def test_every_field_is_what_it_is_in_the_protocol(name: str) -> None:
    theirs = {field.number: facts(field) for field in found(name).fields}
    ours = {field.number: facts(field) for field in messages()[name].DESCRIPTOR.fields}
    assert ours.items() <= theirs.items()
    if not name.startswith("Model") or name.startswith(("ModelInfer", "ModelMetadata", "ModelReady")):
        assert len(ours) == len(theirs), "the protocol's own messages are whole"


@pytest.mark.parametrize("name", list(ENUMS))
def test_every_enumeration_too(name: str) -> None:
    outer, _, inner = name.partition(".")
    theirs = THEIRS[outer].enum_types_by_name[inner] if inner else model_config_pb2.DESCRIPTOR.enum_types_by_name[outer]
    assert ENUMS[name].split() == [value.name for value in theirs.values]
    assert [value.number for value in theirs.values] == list(range(len(theirs.values)))


def test_bytes_go_from_one_to_the_other() -> None:
    theirs = service_pb2.ModelInferRequest(model_name="late", raw_input_contents=[b"1"])
    theirs.parameters["k"].int64_param = 7
    theirs.inputs.add(name="x", datatype="FP32", shape=[1, -1])
    ours = messages()["ModelInferRequest"].FromString(theirs.SerializeToString())
    assert ours.parameters["k"].int64_param == 7
    assert list(ours.inputs[0].shape) == [1, -1]
    assert service_pb2.ModelInferRequest.FromString(ours.SerializeToString()) == theirs
