"""Texts become token ids, pictures become pixels: by data that is written down, row by row, and with clear refusals."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import aside, category, number, picture, text, tokens
from modelloop.prepare.records import Datatype
from modelloop.prepare.tensors import TensorInput, Tensors, read_transform
from modelloop.prepare.transform import FittedTransform, Transform

TEXTS = ["a good day", "a bad night at the inn", "good"]


def words() -> Tokenizer:
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(TEXTS, trainers.WordLevelTrainer(special_tokens=special))
    made.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def column(*values: Any) -> Any:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def png(pixels: Any, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(file, form)
    return file.getvalue()


def test_token_ids_masks_and_types() -> None:
    frame = pl.DataFrame({"said": TEXTS, "asked": ["day", "night", "good good"]})
    wanted = ("input_ids", "attention_mask", "token_type_ids")
    fitted = Transform([tokens("said", words(), 16, pair="asked", wanted=wanted)]).fit(frame)
    found = fitted.feeds(from_frame(frame))
    theirs = words().encode_batch(list(zip(frame["said"], frame["asked"], strict=True)))
    assert list(found) == list(wanted) == list(fitted.tensors)
    for row, one in enumerate(theirs):
        assert found["input_ids"][row, : len(one)].tolist() == one.ids
        assert found["token_type_ids"][row, : len(one)].tolist() == one.type_ids
        assert found["attention_mask"][row].sum() == len(one)
        assert not found["input_ids"][row, len(one) :].any()
    assert {one.dtype for one in found.values()} == {np.dtype("int64")}
    assert [(one.name, one.datatype, one.nullable) for one in fitted.inputs] == [
        ("said", Datatype.BYTES, False),
        ("asked", Datatype.BYTES, False),
    ]
    assert fitted.moments == ("said", "asked")


def test_a_copy_is_equal_and_rows_stand_alone() -> None:
    columns = {"said": column(*TEXTS), "x": np.array([1.0, np.nan, 3.0])}
    ops = [aside(text("said", ["casefold"], name="plain")), tokens("plain", words().to_str(), 8), number("x")]
    fitted = Transform(ops).fit(columns)
    copy = read_transform(fitted.to_bytes())
    assert isinstance(copy, FittedTransform)
    assert (copy, copy.digest, copy.tensors, copy.names) == (fitted, fitted.digest, fitted.tensors, fitted.names)
    whole = copy.feeds(columns)
    assert set(whole) == {"features", "input_ids", "attention_mask"}
    for row in range(3):
        alone = fitted.feeds({name: one[row : row + 1] for name, one in columns.items()})
        size = alone["input_ids"].shape[1]
        assert whole["input_ids"][row, :size].tolist() == alone["input_ids"][0].tolist()
        assert whole["attention_mask"][row].sum() == alone["attention_mask"].sum()
        assert whole["features"][row].tobytes() == alone["features"][0].tobytes()
    none = fitted.feeds({name: one[:0] for name, one in columns.items()})
    assert {name: len(one) for name, one in none.items()} == dict.fromkeys(none, 0)


def test_long_texts_are_cut_and_a_fixed_width_is_kept(tmp_path: Path) -> None:
    words().save(str(tmp_path / "tokenizer.json"))
    columns = {"said": column("good " * 500, "bad")}
    wide = Transform([tokens("said", tmp_path / "tokenizer.json", 12, pad="max_length", wanted=["input_ids"])]).fit(
        columns
    )
    assert wide.feeds(columns)["input_ids"].shape == (2, 12)
    assert wide.feeds({"said": column("bad")})["input_ids"].shape == (1, 12)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tokenizer": "{"}, "cannot be read"),
        ({"tokenizer": '{"model": {"type": "Nope"}}'}, "cannot be read"),
        ({"tokenizer": Path("/nowhere/tokenizer.json")}, "cannot be read"),
        ({"tokenizer": 7}, "no tokenizer"),
        ({"max_length": 1}, "max_length is 1"),
        ({"max_length": 10**6}, "max_length"),
        ({"wanted": ("input_ids",)}, "attention_mask"),
        ({"wanted": ("ids",)}, "What tokens makes"),
        ({"wanted": ("attention_mask",)}, "no input_ids"),
        ({"pad": "left"}, "pad is"),
        ({"column": "x"}, "needs strings"),
        ({"column": "gone"}, "no column"),
    ],
)
def test_what_is_no_tokenizer_is_refused(given: dict[str, Any], said: str) -> None:
    asked: Any = {"column": "said", "tokenizer": words(), "max_length": 16} | given
    with pytest.raises(InvalidInput, match=said):
        Transform([tokens(**asked)]).fit({"said": column("a"), "x": np.zeros(1)})


@pytest.mark.parametrize("value", [None, 7, b"\xff", "x" * 100_001])
def test_what_is_no_text_is_refused_with_its_row(value: Any) -> None:
    fitted = Transform([tokens("said", words(), 16)]).fit({"said": column("a")})
    with pytest.raises(InvalidInput, match="in row 1"):
        fitted.feeds({"said": column("good", value)})


def test_a_text_without_tokens_is_refused() -> None:
    bare = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    fitted = Transform([tokens("said", bare, 4)]).fit({"said": column("a")})
    with pytest.raises(InvalidInput, match="no tokens"):
        fitted.feeds({"said": column("  ")})


def test_pixels_are_scaled_laid_out_and_the_same_from_bytes_and_base64() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    file = png(pixels)
    sent = column(file, base64.b64encode(file).decode(), "data:image/png;base64," + base64.b64encode(file).decode())
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    fitted = Transform([picture("photo", (6, 5), mean, std)]).fit({"photo": sent})
    found = fitted.feeds({"photo": sent})["pixel_values"]
    wanted = ((pixels / 255 - mean) / std).transpose(2, 0, 1)
    assert (found.dtype, found.shape, found.flags.c_contiguous) == (np.float32, (3, 3, 6, 5), True)
    for row in range(3):
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)
    assert fitted.inputs[0].raw
    assert FittedTransform.from_bytes(fitted.to_bytes()) == fitted
    last = Transform([picture("photo", (6, 5), layout="NHWC", channels="BGR", scale=1, name="x")]).fit({"photo": sent})
    assert last.feeds({"photo": sent[:1]})["x"][0].tolist() == pixels[:, :, ::-1].tolist()


def test_greys_sizes_crops_and_jpeg() -> None:
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    columns = {"photo": column(png(wide))}
    crop = Transform([picture("photo", (5, 5), channels="L", scale=1, crop=True)]).fit(columns).feeds(columns)
    assert crop["pixel_values"].shape == (1, 1, 5, 5)
    assert crop["pixel_values"].min() > 150  # the whole width would have zeros
    stretched = (
        Transform([picture("photo", (5, 6), channels="L", scale=1, resize="nearest")]).fit(columns).feeds(columns)
    )
    assert stretched["pixel_values"][0, 0, 0].tolist() == [0, 0, 200, 200, 0, 0]
    deep = {"photo": column(png(np.full((4, 4), 257 * 99, np.uint16)))}
    assert Transform([picture("photo", (4, 4), scale=1)]).fit(deep).feeds(deep)["pixel_values"].max() == 99
    jpeg = {"photo": column(png(np.full((8, 8, 3), 100, np.uint8), "JPEG"))}
    found = Transform([picture("photo", (8, 8), scale=1)]).fit(jpeg).feeds(jpeg)["pixel_values"]
    np.testing.assert_allclose(found, 100, atol=2)


def bomb() -> bytes:
    """A PNG of some hundred bytes that says it has 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def whole() -> bytes:
    return png(np.arange(4096, dtype=np.uint8).reshape(64, 64))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"no picture", "no PNG or JPEG"),
        (b"", "no PNG or JPEG"),
        (whole()[:90], "no whole picture"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 50, "no"),
        (bomb(), "pixels|limit"),
        (png(np.zeros((3, 3, 3), np.uint8), "GIF"), "no PNG or JPEG"),
        ("###", "no base64"),
        (None, "missing"),
        (3.5, "float"),
        (b"\0" * (21 * 2**20), "MiB"),
        ("A" * (30 * 2**20), "MiB"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_row(value: Any, said: str) -> None:
    fitted = Transform([picture("photo", (4, 4))]).fit({"photo": column(whole())})
    with pytest.raises(InvalidInput, match=rf"row 1 of 'photo'.*({said})"):
        fitted.feeds({"photo": column(whole(), value)})


@pytest.mark.parametrize(
    "given",
    [{"size": (0, 4)}, {"size": (9999, 4)}, {"std": 0.0}, {"mean": (0.1, 0.2)}, {"layout": "CHW"}, {"resize": "area"}],
)
def test_settings_of_pictures_are_checked(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Transform([picture("photo", **{"size": (4, 4)} | given)]).fit({"photo": column(whole())})


def test_bytes_of_a_frame_go_to_pictures_only() -> None:
    frame = pl.DataFrame({"photo": [whole()]})
    assert Transform([picture("photo", (4, 4))]).fit(frame).feeds(from_frame(frame))["pixel_values"].shape == (
        1,
        3,
        4,
        4,
    )
    with pytest.raises(InvalidInput, match="only picture reads them"):
        Transform([category("photo")]).fit(frame)


def test_tensors_have_no_matrix_and_names_of_their_own() -> None:
    columns = {"said": column("a"), "other": column("b")}
    with pytest.raises(InvalidInput, match="feeds"):
        Transform([tokens("said", words(), 8)]).fit_apply(columns)
    with pytest.raises(InvalidInput, match="input_ids"):
        Transform([tokens("said", words(), 8), tokens("other", words(), 8)]).fit(columns)


def test_whole_tensors_pass_as_they_are() -> None:
    given = Tensors([TensorInput("m", "FP32", (-1, 3)), TensorInput("ids", "INT64", (-1, -1))])
    again = read_transform(given.to_bytes())
    assert again == given
    assert again.tensors == ("m", "ids")
    frame = pl.DataFrame({"m": [[1.0, 2, 3]], "ids": [[4, 5]]}, schema_overrides={"m": pl.Array(pl.Float32, 3)})
    found = again.feeds(from_frame(frame))
    assert (found["m"].dtype, found["m"].shape, found["ids"].tolist()) == (np.float32, (1, 3), [[4, 5]])
    with pytest.raises(InvalidInput, match="shape"):
        again.feeds({"m": np.zeros((1, 4)), "ids": np.zeros((1, 1))})
    with pytest.raises(InvalidInput, match="missing"):
        again.feeds({"m": np.zeros((1, 3))})
    with pytest.raises(InvalidInput, match="lengths"):
        from_frame(pl.DataFrame({"ids": [[1], [1, 2]]}))
    for wrong in (("m", "FP31", (-1,)), ("m", "FP32", (3,)), ("", "FP32", (-1,))):
        with pytest.raises(InvalidInput):
            TensorInput(*wrong)
