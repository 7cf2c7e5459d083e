"""Text to token ids, as the tokenizer of a language model makes them: what an ONNX transformer is fed with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import needed
from ...ground.core.later import numpy as np
from ..records import Columns, InputColumn
from .form import FittedOp, Op, Raw, input_of, need_strings, one_of
from .texts import LONGEST

MADE = ("input_ids", "attention_mask", "token_type_ids")
Made = Literal["input_ids", "attention_mask", "token_type_ids"]
MOST = 8192
"""Tokens of one text: attention needs memory for their square."""


@dataclass(frozen=True, slots=True)
class Tokens(Op):
    """Token ids of a text: int64 tensors [rows, tokens] by the names in `wanted`.

    `tokenizer` is a `tokenizer.json` (its text, a `Path` to it, or a Tokenizer of the tokenizers library, also that of
    a fast Hugging Face tokenizer); it travels within the transform. Longer texts are cut at `max_length` tokens. `pad`:
    rows are filled up to the longest of them, or always to `max_length`, for graphs of a fixed width. `pair` names the
    column of the second text of each row. Missing text is refused.
    """

    column: str
    tokenizer: Any = field(repr=False, hash=False)
    max_length: int = 128
    pair: str = ""
    pad: Literal["longest", "max_length"] = "longest"
    wanted: Sequence[Made] = ("input_ids", "attention_mask")

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the column, and that of the second text."""
        return (self.column, self.pair) if self.pair else (self.column,)

    def learn(self, columns: Columns) -> FittedTokens:
        """Look at the columns' types and the tokenizer; nothing is learned."""
        sources = tuple(need_strings(input_of(columns, name, nullable=False), "tokens") for name in self.reads)
        return FittedTokens(sources, _text(self.tokenizer), self.max_length, self.pad, tuple(self.wanted))


@dataclass(frozen=True, slots=True)
class FittedTokens(FittedOp):
    """A tokenizer and how its ids are laid out. The JSON is data: rules, words and merges, no code."""

    kind: ClassVar[str] = "tokens"
    takes: ClassVar[str] = "strings"
    tensors: ClassVar[bool] = True
    inputs: tuple[InputColumn, ...]
    tokenizer: str = field(repr=False)
    max_length: int
    pad: str
    wanted: tuple[str, ...]
    _tokenizer: Any = field(init=False, repr=False, compare=False)
    _filler: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        wanted = tuple(one_of(name, MADE, "What tokens makes") for name in self.wanted)
        one_of(self.pad, ("longest", "max_length"), "pad")
        if "input_ids" not in wanted:
            raise InvalidInput("tokens makes no input_ids.", hint=f"For example wanted={MADE[:2]!r}.")
        if self.pad == "longest" and "attention_mask" not in wanted:
            raise InvalidInput(
                "Rows filled up to the longest need an attention_mask: without it an answer depends on the other rows.",
                hint='Take pad="max_length", or make attention_mask too.',
            )
        loaded = _loaded(self.tokenizer)
        filler = _filler(loaded)
        least = loaded.num_special_tokens_to_add(len(self.inputs) == 2) + 1
        if isinstance(self.max_length, bool) or not least <= self.max_length <= MOST:
            raise InvalidInput(f"max_length is {self.max_length}.", hint=f"From {least} to {MOST} for this tokenizer.")
        loaded.no_padding()
        loaded.enable_truncation(self.max_length)
        setting = object.__setattr__
        setting(self, "wanted", wanted)
        setting(self, "_tokenizer", loaded)
        setting(self, "_filler", filler)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the tensors."""
        return self.wanted

    def apply(self, *columns: Raw) -> list[Raw]:
        """Encode each text by itself, and fill the rows up."""
        texts = [_checked(column.tolist(), source) for column, source in zip(columns, self.inputs, strict=True)]
        encode = self._tokenizer.encode  # not encode_batch: that brings a pool of threads
        found = [encode(*row) for row in zip(*texts, strict=True)]
        longest = max((len(one) for one in found), default=1)
        shape = (len(found), self.max_length if self.pad == "max_length" else longest)
        made = {name: np.full(shape, self._filler if name == "input_ids" else 0, np.int64) for name in self.wanted}
        for row, one in enumerate(found):
            size = len(one)
            if not size:
                raise InvalidInput(f"The text in row {row} of {self.inputs[0].name!r} has no tokens.")
            made["input_ids"][row, :size] = one.ids
            if "attention_mask" in made:
                made["attention_mask"][row, :size] = 1
            if "token_type_ids" in made:
                made["token_type_ids"][row, :size] = one.type_ids
        return [made[name] for name in self.wanted]


def _text(given: Any) -> str:
    """Return the tokenizer's JSON."""
    given = getattr(given, "backend_tokenizer", given)
    if hasattr(given, "to_str"):
        return str(given.to_str())
    if isinstance(given, Path):
        try:
            return given.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"The tokenizer {given} cannot be read: {error}.") from error
    if isinstance(given, bytes):
        return given.decode("utf-8", "replace")
    if isinstance(given, str):
        return given
    raise InvalidInput(
        f"A {type(given).__name__} is no tokenizer.", hint="Give the text of a tokenizer.json, or a Path to it."
    )


def _loaded(text: str) -> Any:
    tokenizer = needed("tokenizers", "text").Tokenizer
    try:
        return tokenizer.from_buffer(text.encode())
    except (ValueError, AttributeError) as error:
        raise InvalidInput(
            f"The tokenizer's JSON cannot be read: {str(error)[:200]}.",
            hint="It is the tokenizer.json that the tokenizers library writes (tokenizer.save, save_pretrained).",
        ) from error


def _filler(loaded: Any) -> int:
    """Return the id that rows are filled up with: what the tokenizer says, else that of its padding token, else 0."""
    if loaded.padding is not None:
        return int(loaded.padding["pad_id"])
    known = (loaded.token_to_id(name) for name in ("[PAD]", "<pad>", "<|endoftext|>"))
    return next((int(one) for one in known if one is not None), 0)


def _checked(values: list[object], source: InputColumn) -> list[object]:
    for row, value in enumerate(values):
        if not isinstance(value, str) or len(value) > LONGEST:
            found = f"text of {len(value)} characters" if isinstance(value, str) else json.dumps(value, default=repr)
            raise InvalidInput(
                f"The column {source.name!r} holds {found[:60]} in row {row}.",
                hint=f"Expected text of up to {LONGEST} characters.",
            )
    return values
