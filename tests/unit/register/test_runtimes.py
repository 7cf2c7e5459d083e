"""A transformer with its tokenizer, an image classifier, tensors and classes: trained, registered, loaded, asked."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch import nn

from modelloop.evaluate.settings import Task
from modelloop.ground.core.errors import InvalidInput, ParityFailed
from modelloop.ground.store.context import Context
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import number, picture, tokens
from modelloop.prepare.transform import Transform
from modelloop.register import actions as register
from modelloop.register.package import LoadedPackage, load
from modelloop.register.parity import headline, parity
from modelloop.register.records import Evidence
from modelloop.register.runtimes import candidate_scorer
from modelloop.testing.fakes import make_context
from modelloop.train.bring import from_onnx, tensors_of
from modelloop.train.candidate import candidate
from modelloop.train.records import Candidate
from packages import make_evidence

START = datetime(2026, 1, 1, tzinfo=UTC)
CHANCE = np.random.default_rng(5)
MOODS = ("bad", "good", "plain")
SAID = (("awful", "poor", "sad"), ("lovely", "fine", "great"), ("usual", "so", "ordinary"))


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return make_context(tmp_path)


def stamped(columns: Mapping[str, Any]) -> pl.DataFrame:
    rows = len(next(iter(columns.values())))
    return pl.DataFrame({**columns, "at": [START + timedelta(hours=n) for n in range(rows)]})


def evidence_of(made: Candidate) -> Evidence:
    sample = from_frame(made.sample, [one.name for one in made.transform.inputs] or made.transform.tensors)
    plain = make_evidence()
    task = Task.MULTICLASS if made.labels else Task.BINARY
    found = parity(candidate_scorer(made), sample, made.expected, 1e-4)
    return replace(plain, parity=found, objective=replace(plain.objective, task=task))


def registered(ctx: Context, made: Candidate) -> LoadedPackage:
    """Take a candidate through its bytes, the register and the package, and prove its sample."""
    made = Candidate.from_bytes(made.to_bytes())
    version = register.register(ctx, "mood", made, evidence_of(made))
    loaded = load(ctx.blobs, version.digest)
    assert loaded.golden().beyond == 0
    return loaded


@pytest.fixture(scope="module")
def texts() -> pl.DataFrame:
    kinds = CHANCE.integers(0, 3, 160)
    said = [
        " ".join(CHANCE.choice(SAID[kind]) if CHANCE.random() < 0.6 else "the" for _ in range(CHANCE.integers(2, 14)))
        for kind in kinds
    ]
    return stamped({"said": said, "mood": [MOODS[kind] for kind in kinds]})


@pytest.fixture(scope="module")
def tokenizer(texts: pl.DataFrame) -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(texts["said"], trainers.WordPieceTrainer(vocab_size=90, special_tokens=special))
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return made


class Attentive(nn.Module):
    """A small transformer encoder; its first token is looked at."""

    def __init__(self, last: nn.Module | None) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(90, 16), nn.Embedding(32, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head, self.last = nn.Linear(16, 3), last

    def forward(self, ids: Any, mask: Any) -> Any:
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        x = self.head(self.encoder(x, src_key_padding_mask=mask == 0)[:, 0])
        return x if self.last is None else self.last(x)


def trained(model: nn.Module, given: list[Any], places: Any, rounds: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(rounds):
        optimizer.zero_grad()
        nn.functional.nll_loss(torch.log(model(*given) + 1e-9), places).backward()
        optimizer.step()


def test_a_transformer_with_its_tokenizer(ctx: Context, texts: pl.DataFrame, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    train, holdout = texts[:120], texts[120:]
    fitted = Transform([tokens("said", tokenizer, 32)]).fit(train)
    fed = fitted.feeds(from_frame(train, ["said"]))
    model = Attentive(nn.Softmax(-1))
    places = torch.tensor([MOODS.index(mood) for mood in train["mood"]])
    trained(model, [torch.from_numpy(one) for one in fed.values()], places, 25)
    made = candidate(model, fitted, train=train, holdout=holdout, label="mood", time="at", labels=MOODS)
    loaded = registered(ctx, made)
    assert [(one.name, one.datatype) for one in loaded.signature.asked] == [("said", "BYTES")]
    assert loaded.signature.labels == MOODS
    said = {"said": np.array(["awful sad poor the", "lovely", "usual so so so so so so so so"], object)}
    found = loaded.scorer.outputs(said)
    assert found["label"].tolist() == ["bad", "good", "plain"]
    for row in range(3):  # alone, hence of another width
        alone = loaded.scorer.outputs({"said": said["said"][row : row + 1]})
        np.testing.assert_allclose(alone["probabilities"][0], found["probabilities"][row], atol=1e-5)
    scores = loaded.scorer.score(from_frame(holdout, ["said"]))
    assert (scores == made.truth).mean() > 0.7
    assert len(loaded.scorer.outputs({"said": np.array([], object)})["label"]) == 0
    with pytest.raises(InvalidInput, match="row 0"):
        loaded.scorer.outputs({"said": np.array([None], object)})


@pytest.mark.filterwarnings("ignore")  # the exporter warns about itself
def test_bring_your_own_onnx_and_tokenizer(
    ctx: Context, texts: pl.DataFrame, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """As `transformers` exports a classifier: logits, inputs by name, sizes that may differ, and a tokenizer.json."""
    model, file = Attentive(None).eval(), tmp_path / "model.onnx"
    fixed = torch.zeros(2, 24, dtype=torch.int64)
    torch.backends.mha.set_fastpath_enabled(False)
    names = ["input_ids", "attention_mask"]
    free = {name: {0: "batch"} for name in names}
    torch.onnx.export(
        model, (fixed, fixed + 1), file, dynamo=False, input_names=names, output_names=["logits"], dynamic_axes=free
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    wide = Transform([tokens("said", tmp_path / "tokenizer.json", 24, pad="max_length")]).fit(texts)
    given: dict[str, Any] = {
        "holdout": texts[:40],
        "label": "mood",
        "time": "at",
        "task": "multiclass",
        "labels": MOODS,
    }
    made = from_onnx(file.read_bytes(), wide, logits=True, output="logits", notes="from elsewhere", **given)
    np.testing.assert_allclose(made.expected.sum(axis=1), 1)
    loaded = registered(ctx, made)
    fed = wide.feeds({"said": np.array(["awful lovely"], object)})
    with torch.no_grad():
        own = torch.softmax(model(*(torch.from_numpy(fed[name]) for name in names)), -1).numpy()
    found = loaded.scorer.outputs({"said": np.array(["awful lovely"], object)})
    np.testing.assert_allclose(found["probabilities"], own, atol=1e-5)
    loose = Transform([tokens("said", tokenizer, 24)]).fit(texts)
    with pytest.raises(InvalidInput, match=r"cannot answer the sample|max_length"):
        from_onnx(file.read_bytes(), loose, logits=True, **given)
    with pytest.raises(InvalidInput, match="no output 'nope'"):
        from_onnx(file.read_bytes(), wide, output="nope", **given)
    bare = Transform([tokens("said", tokenizer, 24, pad="max_length", wanted=["input_ids"])]).fit(texts)
    with pytest.raises(InvalidInput, match="asks for input_ids, attention_mask; the transform makes input_ids"):
        from_onnx(file.read_bytes(), bare, **given)
    with pytest.raises(InvalidInput, match="3 numbers a row, which is no binary answer"):
        from_onnx(file.read_bytes(), wide, **{**given, "task": "binary", "labels": ()})
    with pytest.raises(InvalidInput, match="Name each class once"):
        from_onnx(file.read_bytes(), wide, **{**given, "labels": MOODS[:2]})


def file_of(pixels: Any) -> bytes:
    made = io.BytesIO()
    Image.fromarray(np.uint8(pixels * 16 - (pixels > 15))).save(made, "PNG")
    return made.getvalue()


def test_an_image_classifier(ctx: Context) -> None:
    torch.manual_seed(0)
    digits = load_digits()
    frame = stamped({"photo": [file_of(one) for one in digits.images[:700]], "digit": digits.target[:700]})
    train, holdout = frame[:600], frame[600:]
    fitted = Transform([picture("photo", (8, 8), channels="L")]).fit(train)
    fed = fitted.feeds(from_frame(train, ["photo"]))["pixel_values"]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10), nn.Softmax(-1)
    )
    trained(model, [torch.from_numpy(fed)], torch.tensor(train["digit"].to_list()), 60)
    made = candidate(model, fitted, train=train, holdout=holdout, label="digit", time="at")
    loaded = registered(ctx, made)
    assert loaded.signature.labels == tuple("0123456789")
    found = loaded.scorer.outputs(from_frame(holdout, ["photo"]))
    assert (found["label"].dtype, found["probabilities"].shape) == (np.int64, (100, 10))
    assert (found["label"] == holdout["digit"].to_numpy()).mean() > 0.8
    assert made.truth.tolist() == holdout["digit"].to_list()
    with pytest.raises(InvalidInput, match="no PNG or JPEG"):
        loaded.scorer.outputs({"photo": np.array([b"\x89PNG"], object)})


def linear(weights: Any) -> bytes:
    """Return a graph from one matrix `x` to `y` [rows, 1] and `size` [rows]."""
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("ReduceSum", ["x", "one"], ["size"], keepdims=0),
    ]
    initial = [
        helper.make_tensor("w", kinds.FLOAT, [len(weights), 1], weights),
        helper.make_tensor("one", kinds.INT64, [1], [1]),
    ]
    shapes = {"x": ["rows", len(weights)], "y": ["rows", 1], "size": ["rows"]}
    x, y, size = (helper.make_tensor_value_info(name, kinds.FLOAT, shape) for name, shape in shapes.items())
    graph = helper.make_graph(nodes, "linear", [x], [y, size], initial)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()
    )


def test_a_matrix_as_one_tensor(ctx: Context) -> None:
    weights = CHANCE.normal(size=30).astype(np.float32)
    matrix = CHANCE.normal(size=(80, 30)).astype(np.float32)
    frame = stamped({"x": matrix.tolist(), "y": matrix @ weights}).cast({"x": pl.Array(pl.Float32, 30)})
    graph = linear(weights.tolist())
    made = from_onnx(graph, tensors_of(graph), holdout=frame, label="y", time="at", task="regression")
    loaded = registered(ctx, made)
    (asked,) = loaded.signature.asked
    assert (asked.name, asked.datatype, asked.shape, loaded.signature.inputs) == ("x", "FP32", (-1, 30), ())
    np.testing.assert_allclose(loaded.scorer.score({"x": matrix}), matrix @ weights, atol=1e-4)
    assert loaded.scorer.outputs({"x": matrix})["score"].shape == (80,)
    with pytest.raises(InvalidInput, match="cannot answer"):
        loaded.scorer.outputs({"x": matrix[:, :29]})
    with pytest.raises(InvalidInput, match="'x' is missing"):
        loaded.scorer.outputs({"z": matrix})


def test_the_matrix_of_a_transform_under_another_name(ctx: Context) -> None:
    frame = stamped({"a": CHANCE.normal(size=60), "b": CHANCE.normal(size=60), "y": CHANCE.integers(0, 2, 60)})
    fitted = Transform([number("a"), number("b")]).fit(frame)
    graph = linear([1.0, -2.0])
    made = from_onnx(graph, fitted, holdout=frame, label="y", time="at", task="binary", output="y", logits=True)
    found = registered(ctx, made).scorer.score({"a": np.array([1.0]), "b": np.array([0.25])})
    assert found == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_probabilities_that_differ_are_seen(texts: pl.DataFrame) -> None:
    class Fixed:
        def outputs(self, _columns: Any) -> dict[str, Any]:
            return {"probabilities": np.array([[0.5, 0.5], [1.0, 0.0]], np.float32), "label": np.array(["a", "b"])}

        def score(self, _columns: Any) -> Any:
            return np.array([0.0, 0.0])

    found = parity(Fixed(), {}, np.array([[0.5, 0.5], [0.9, 0.1]]), 1e-4)
    assert (found.rows, found.beyond) == (2, 1)
    assert found.largest == pytest.approx(0.1)
    assert headline(Fixed(), {}).shape == (2, 2)
    with pytest.raises(ParityFailed, match="2 of 2 answers"):
        parity(Fixed(), {}, np.ones((2, 3)), 1e-4)
