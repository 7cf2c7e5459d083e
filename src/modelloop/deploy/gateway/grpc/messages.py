"""The messages of the protocol, built from a short text and known to a pool of our own.

A generated module would register `inference.ModelInferRequest` in the one pool that all of a process shares, and could
not be imported beside tritonclient's. Unknown fields are kept by protobuf, so only what is read or written is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ....ground.core.later import needed

PACKAGE = "inference"
FORM = """
ServerLiveRequest
ServerLiveResponse: bool live=1
ServerReadyRequest
ServerReadyResponse: bool ready=1
ModelReadyRequest: string name=1, string version=2
ModelReadyResponse: bool ready=1
ServerMetadataRequest
ServerMetadataResponse: string name=1, string version=2, string* extensions=3
ModelMetadataRequest: string name=1, string version=2
ModelMetadataResponse.TensorMetadata: string name=1, string datatype=2, int64* shape=3
ModelMetadataResponse: string name=1, string* versions=2, string platform=3, \
ModelMetadataResponse.TensorMetadata* inputs=4, ModelMetadataResponse.TensorMetadata* outputs=5
InferParameter: bool bool_param=1|parameter_choice, int64 int64_param=2|parameter_choice, \
string string_param=3|parameter_choice, double double_param=4|parameter_choice, uint64 uint64_param=5|parameter_choice
InferTensorContents: bool* bool_contents=1, int32* int_contents=2, int64* int64_contents=3, uint32* uint_contents=4, \
uint64* uint64_contents=5, float* fp32_contents=6, double* fp64_contents=7, bytes* bytes_contents=8
ModelInferRequest.InferInputTensor: string name=1, string datatype=2, int64* shape=3, \
InferParameter@ parameters=4, InferTensorContents contents=5
ModelInferRequest.InferRequestedOutputTensor: string name=1, InferParameter@ parameters=2
ModelInferRequest: string model_name=1, string model_version=2, string id=3, InferParameter@ parameters=4, \
ModelInferRequest.InferInputTensor* inputs=5, ModelInferRequest.InferRequestedOutputTensor* outputs=6, \
bytes* raw_input_contents=7
ModelInferResponse.InferOutputTensor: string name=1, string datatype=2, int64* shape=3, \
InferParameter@ parameters=4, InferTensorContents contents=5
ModelInferResponse: string model_name=1, string model_version=2, string id=3, InferParameter@ parameters=4, \
ModelInferResponse.InferOutputTensor* outputs=5, bytes* raw_output_contents=6
ModelConfigRequest: string name=1, string version=2
ModelInput: string name=1, enum.DataType data_type=2, enum.ModelInput.Format format=3, int64* dims=4, bool optional=8
ModelOutput: string name=1, enum.DataType data_type=2, int64* dims=3, string label_filename=4
ModelVersionPolicy.Specific: int64* versions=1
ModelVersionPolicy: ModelVersionPolicy.Specific specific=3|policy_choice
ModelInstanceGroup: string name=1, int32 count=2, enum.ModelInstanceGroup.Kind kind=4
ModelParameter: string string_value=1
ModelTransactionPolicy: bool decoupled=1
ModelConfig: string name=1, string platform=2, ModelVersionPolicy version_policy=3, int32 max_batch_size=4, \
ModelInput* input=5, ModelOutput* output=6, ModelInstanceGroup* instance_group=7, string default_model_filename=8, \
ModelParameter@ parameters=14, string backend=17, ModelTransactionPolicy model_transaction_policy=19
ModelConfigResponse: ModelConfig config=1
ModelStatisticsRequest: string name=1, string version=2
StatisticDuration: uint64 count=1, uint64 ns=2
InferStatistics: StatisticDuration success=1, StatisticDuration fail=2, StatisticDuration queue=3, \
StatisticDuration compute_input=4, StatisticDuration compute_infer=5, StatisticDuration compute_output=6, \
StatisticDuration cache_hit=7, StatisticDuration cache_miss=8
ModelStatistics: string name=1, string version=2, uint64 last_inference=3, uint64 inference_count=4, \
uint64 execution_count=5, InferStatistics inference_stats=6
ModelStatisticsResponse: ModelStatistics* model_stats=1
RepositoryIndexRequest: string repository_name=1, bool ready=2
RepositoryIndexResponse.ModelIndex: string name=1, string version=2, string state=3, string reason=4
RepositoryIndexResponse: RepositoryIndexResponse.ModelIndex* models=1
"""
"""A message a line: its fields as `TYPE NAME=NUMBER`. `*` behind a type: repeated; `@`: a map from strings; `|NAME`:
one of a group of which only one is set."""
ENUMS: Mapping[str, str] = {
    "DataType": "TYPE_INVALID TYPE_BOOL TYPE_UINT8 TYPE_UINT16 TYPE_UINT32 TYPE_UINT64 TYPE_INT8 TYPE_INT16 "
    "TYPE_INT32 TYPE_INT64 TYPE_FP16 TYPE_FP32 TYPE_FP64 TYPE_STRING TYPE_BF16",
    "ModelInput.Format": "FORMAT_NONE FORMAT_NHWC FORMAT_NCHW",
    "ModelInstanceGroup.Kind": "KIND_AUTO KIND_GPU KIND_CPU KIND_MODEL",
}
"""Names of values, numbered from 0."""
_REPEATED, _OPTIONAL = 3, 1
_MESSAGE, _ENUM = 11, 14


@dataclass(frozen=True, slots=True)
class _Field:
    """One field as the text has it."""

    kind: str
    name: str
    number: int
    repeated: bool
    mapped: bool
    choice: str | None


def messages() -> Mapping[str, Any]:
    """Return the message classes by name; raises ExtraMissing where protobuf is not installed."""
    descriptors = needed("google.protobuf.descriptor_pb2", "grpc")
    pool = needed("google.protobuf.descriptor_pool", "grpc").DescriptorPool()
    factory = needed("google.protobuf.message_factory", "grpc")
    pool.Add(_file(descriptors))
    return {
        name: factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name, _ in _lines() if name
    }


def _file(descriptors: Any) -> Any:
    file = descriptors.FileDescriptorProto(name="modelloop/inference.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, Any] = {}
    for name, fields in sorted(_lines(), key=lambda line: "." in line[0]):  # the outer message before its inner ones
        outer, _, inner = name.rpartition(".")
        message = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=name)
        made[name] = message
        for field in _fields(fields):
            _add(message, name, field)
    for name, values in ENUMS.items():
        outer, _, inner = name.rpartition(".")
        found = made[outer].enum_type.add(name=inner) if outer else file.enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            found.value.add(name=value, number=number)
    return file


def _add(message: Any, name: str, field: _Field) -> None:
    found = message.field.add(name=field.name, number=field.number)
    found.label = _REPEATED if field.repeated or field.mapped else _OPTIONAL
    if field.mapped:
        found.type, found.type_name = _MESSAGE, f".{PACKAGE}.{name}.{_entry(message, field)}"
        return
    _type(found, field.kind)
    if field.choice is not None:
        groups = [group.name for group in message.oneof_decl]
        if field.choice not in groups:
            message.oneof_decl.add(name=field.choice)
            groups.append(field.choice)
        found.oneof_index = groups.index(field.choice)


def _entry(message: Any, field: _Field) -> str:
    """Add the message that one entry of a map is; return its name."""
    entry = message.nested_type.add(name=f"{field.name.capitalize()}Entry")
    entry.options.map_entry = True
    key = entry.field.add(name="key", number=1, label=_OPTIONAL)
    _type(key, "string")
    _type(entry.field.add(name="value", number=2, label=_OPTIONAL), field.kind)
    return str(entry.name)


def _type(found: Any, kind: str) -> None:
    if kind.startswith("enum."):
        found.type, found.type_name = _ENUM, f".{PACKAGE}.{kind.removeprefix('enum.')}"
    elif kind[0].isupper():
        found.type, found.type_name = _MESSAGE, f".{PACKAGE}.{kind}"
    else:
        found.type = getattr(found, f"TYPE_{kind.upper()}")


def _lines() -> list[tuple[str, str]]:
    lines = (line.partition(":") for line in FORM.strip().splitlines())
    return [(name.strip(), fields) for name, _, fields in lines]


def _fields(text: str) -> Iterator[_Field]:
    for part in filter(None, map(str.strip, text.split(","))):
        kind, _, rest = part.partition(" ")
        rest, _, choice = rest.partition("|")
        name, _, number = rest.partition("=")
        yield _Field(kind.rstrip("*@"), name, int(number), kind.endswith("*"), kind.endswith("@"), choice or None)


def names() -> Iterable[str]:
    """Return the names of all messages."""
    return [name for name, _ in _lines()]
