"""The error tree. Each class has a stable code (a page in `docs/errors.md`), an HTTP status and a default message.

ModelloopError
  InvalidInput            ML100  what was sent or written is not of the form it must have
    ProjectFileInvalid    ML101  modelloop.toml has mistakes (all of them are listed)
    ContractInvalid       ML102  a contract asks for what cannot be checked
    RequestInvalid        ML103  an inference request is not what the endpoint expects
    BodyTooLarge          ML104  a body is larger than the limit
    OutcomeInvalid        ML105  an outcome names no known prediction, or has no usable label
    IdInvalid             ML106  an id is not one that the server made
  NotFound                ML200  there is no such thing
    UnknownPrediction     ML201  no prediction has this id
    BlobMissing           ML202  bytes that facts point to are not in the store
  Conflict                ML300  somebody else was first, or the state does not allow it
    StaleState            ML301  the row changed between reading and writing
    RolloutRefused        ML302  the version may not be rolled out
  Unauthenticated         ML400  no token, or one that is not valid
  Denied                  ML401  the actor's role does not have the right
  AddressRefused          ML402  an address that settings do not allow
  DataRefused             ML500  data breaks its contract and was not committed
    LeakFound             ML501  a feature changes when the future is removed
  StepFailed              ML600  a step raised
    ValueNotStorable      ML601  a step returned something that has no safe format
    RunCancelled          ML602  the run was cancelled
    PipelineInvalid       ML603  a pipeline or step cannot be called as asked
    StepTimeout           ML604  a step took longer than its limit, and was ended
    WorkerDied            ML605  the process of a step ended by itself
  EvidenceMissing         ML700  a decision was asked for without what it rests on
    ParityFailed          ML701  the served model and the training code answer differently
    GateFailed            ML702  a gate refused the version
  StoreUnavailable        ML800  the database or the object store does not answer, or lacks a guarantee
    AuditBroken           ML801  the audit chain does not verify
    SchemaNewer           ML802  the database was migrated by a newer Modelloop
  NotReady                ML900  the process has nothing to answer with yet
  ExtraMissing            ML910  an optional part is not installed
"""

from __future__ import annotations

from typing import Any, ClassVar


class ModelloopError(Exception):
    """Something Modelloop refuses or cannot do.

    `message` says what happened and what was found; `hint` says what to do next; `detail` is JSON-ready.
    """

    code: ClassVar[str] = "ML000"
    status: ClassVar[int] = 500

    def __init__(self, message: str = "", *, hint: str = "", detail: dict[str, Any] | None = None) -> None:
        first_line = (self.__doc__ or type(self).__name__).strip().splitlines()[0]
        self.message = message or first_line
        self.hint = hint
        self.detail = detail or {}
        super().__init__(f"{self.message} {hint}".strip())

    def as_json(self) -> dict[str, Any]:
        """Return the one shape in which every face shows an error."""
        body: dict[str, Any] = {"error": str(self), "code": self.code}
        if self.detail:
            body["detail"] = self.detail
        return body


class InvalidInput(ModelloopError):
    """The input is not of the form it must have."""

    code = "ML100"
    status = 400


class ProjectFileInvalid(InvalidInput):
    """The project file has mistakes."""

    code = "ML101"


class ContractInvalid(InvalidInput):
    """The contract asks for what cannot be checked."""

    code = "ML102"


class RequestInvalid(InvalidInput):
    """The inference request is not what the endpoint expects."""

    code = "ML103"


class BodyTooLarge(InvalidInput):
    """The body is larger than the limit."""

    code = "ML104"
    status = 413


class OutcomeInvalid(InvalidInput):
    """The outcome has no usable label."""

    code = "ML105"


class IdInvalid(InvalidInput):
    """The id is not one that the server made."""

    code = "ML106"


class NotFound(ModelloopError):
    """There is no such thing."""

    code = "ML200"
    status = 404


class UnknownPrediction(NotFound):
    """No prediction has this id."""

    code = "ML201"


class BlobMissing(NotFound):
    """Bytes that facts point to are not in the store."""

    code = "ML202"


class Conflict(ModelloopError):
    """The state does not allow it."""

    code = "ML300"
    status = 409


class StaleState(Conflict):
    """The row changed between reading and writing."""

    code = "ML301"


class RolloutRefused(Conflict):
    """The version may not be rolled out."""

    code = "ML302"


class Unauthenticated(ModelloopError):
    """No token was given, or it is not valid."""

    code = "ML400"
    status = 401


class Denied(ModelloopError):
    """The actor's role does not have the right."""

    code = "ML401"
    status = 403


class AddressRefused(ModelloopError):
    """The address is one that settings do not allow."""

    code = "ML402"
    status = 403


class DataRefused(ModelloopError):
    """The data breaks its contract and was not committed."""

    code = "ML500"
    status = 422


class LeakFound(DataRefused):
    """A feature changes when the future is removed."""

    code = "ML501"


class StepFailed(ModelloopError):
    """A step raised."""

    code = "ML600"


class ValueNotStorable(StepFailed):
    """The step returned something that has no safe format."""

    code = "ML601"


class RunCancelled(StepFailed):
    """The run was cancelled."""

    code = "ML602"


class PipelineInvalid(StepFailed):
    """The pipeline or step cannot be called as asked."""

    code = "ML603"
    status = 400


class StepTimeout(StepFailed):
    """The step took longer than its limit, and was ended."""

    code = "ML604"


class WorkerDied(StepFailed):
    """The process of the step ended by itself."""

    code = "ML605"


class EvidenceMissing(ModelloopError):
    """A decision was asked for without what it rests on."""

    code = "ML700"
    status = 409


class ParityFailed(EvidenceMissing):
    """The served model and the training code answer differently."""

    code = "ML701"


class GateFailed(EvidenceMissing):
    """A gate refused the version."""

    code = "ML702"


class StoreUnavailable(ModelloopError):
    """The database or the object store does not answer, or lacks a guarantee."""

    code = "ML800"
    status = 503


class AuditBroken(StoreUnavailable):
    """The audit chain does not verify."""

    code = "ML801"


class SchemaNewer(StoreUnavailable):
    """The database was migrated by a newer Modelloop."""

    code = "ML802"


class NotReady(ModelloopError):
    """The process has nothing to answer with yet."""

    code = "ML900"
    status = 503


class ExtraMissing(ModelloopError):
    """An optional part is not installed."""

    code = "ML910"
