"""What an MLproject says, and the command that comes of it: everything wrong is told before anything runs."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.exchange.mlproject.command import command_of, entry_of
from modelloop.exchange.mlproject.environment import described, environment_for
from modelloop.exchange.mlproject.running import given as given_of
from modelloop.exchange.mlproject.running import is_mlproject, pipeline_name
from modelloop.exchange.mlproject.spec import EntryPoint, MlProject, Parameter, read_mlproject
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.core.ids import is_name

TEXT = """
name: Wine Quality
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      data: path
      where: {type: uri, default: "s3://bucket/x"}
      label: string
    command: "python train.py --alpha {alpha} {data} {label} {where} {{kept}}"
  plain:
    command: "echo hello"
"""


def project(folder: Path, text: str = TEXT) -> MlProject:
    (folder / "MLproject").write_text(text)
    return read_mlproject(folder)


def test_values_are_one_word_each(tmp_path: Path) -> None:
    found = project(tmp_path)
    (tmp_path / "d.csv").touch()
    made = command_of(
        found, found.entries["main"], {"data": "d.csv", "label": "a; $(id) 'b'", "extra one": "1 2"}, tmp_path
    )
    assert shlex.split(made.text) == [
        *("python", "train.py", "--alpha", "0.5", str(tmp_path / "d.csv"), "a; $(id) 'b'", "s3://bucket/x", "{kept}"),
        *("--extra one", "1 2"),
    ]
    assert made.params["alpha"] == "0.5"
    assert made.extra == ("extra one",)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=25, deadline=None)
def test_no_value_is_ever_code(value: str) -> None:
    folder = Path("/nowhere")
    text_of = MlProject("p", folder, {}, None)
    entry = entry_of(MlProject("p", folder, read_entries("printf %s {text}"), None), "main")
    made = command_of(text_of, entry, {"text": value}, folder)
    done = subprocess.run(["bash", "-c", made.text], capture_output=True, check=True)
    assert done.stdout.decode() == value


def read_entries(command: str) -> dict[str, EntryPoint]:
    return {"main": EntryPoint("main", {"text": Parameter("text", "string", None)}, command)}


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = project(tmp_path)
    given_ones = {"alpha": "much", "lable": "x", "where": "here", "data": "not-there.csv"}
    with pytest.raises(InvalidInput) as told:
        command_of(found, found.entries["main"], given_ones, tmp_path)
    mistakes = told.value.detail["mistakes"]
    assert len(mistakes) == 4
    assert "Did you mean it by 'lable'?" in mistakes[0]
    assert "must be a number" in mistakes[1]


def test_entry_points(tmp_path: Path) -> None:
    found = project(tmp_path)
    with pytest.raises(NotFound, match="Did you mean 'main'"):
        entry_of(found, "mian")
    (tmp_path / "other.py").touch()
    assert entry_of(found, "other.py").command == "python other.py"
    with pytest.raises(NotFound):
        entry_of(found, "../outside.py")
    bare = project(tmp_path, "name: x\n")
    with pytest.raises(NotFound, match="declares none"):
        entry_of(bare, "main")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "no names with values"),
        ("a: [", "no YAML"),
        ("!!python/object/apply:os.system ['touch pwned']", "no YAML"),
        ("name: x\nentry_point: {}\n", "Did you mean 'entry_points'"),
        ("entry_points: {main: {command: ''}}", "no command"),
        ("entry_points: {main: {parameters: {a: flaot}, command: x}}", "Did you mean 'float'"),
        ("entry_points: {main: [1]}", "must be names"),
        ("docker_env: {image: x}", "container"),
        ("python_env: ../../etc/passwd", "no such file"),
        ("python_env: a\nconda_env: b", "two environments"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        project(tmp_path, text)
    assert not (tmp_path / "pwned").exists()


def test_aliases_do_not_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(InvalidInput, match="multiply"):
        project(tmp_path, "\n".join(lines))


def test_a_brace_without_its_half_is_told(tmp_path: Path) -> None:
    for command, said in (("echo {", "brace"), ("echo {nothing}", "none of its parameters"), ("echo {a.b}", "none of")):
        found = project(tmp_path, f'entry_points: {{main: {{command: "{command}"}}}}')
        with pytest.raises(InvalidInput, match=said):
            command_of(found, found.entries["main"], {}, tmp_path)


def test_environments(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy\n")
    (tmp_path / "python_env.yaml").write_text("python: '3.11'\ndependencies: [pandas<3, -r requirements.txt]\n")
    found = described(project(tmp_path))
    assert found.requirements == ("pandas<3", f"-r {tmp_path / 'requirements.txt'}")
    (tmp_path / "python_env.yaml").unlink()
    (tmp_path / "conda.yaml").write_text("dependencies: [python=3.11.4, pip, libgomp, {pip: [mlflow]}]\n")
    found = described(project(tmp_path))
    assert (found.python, found.requirements, found.left_out) == ("3.11.4", ("mlflow",), ("libgomp",))
    (tmp_path / "conda.yaml").write_text("dependencies: [{pip: ['-r /etc/passwd']}]\n")
    with pytest.raises(InvalidInput, match="no file of the project"):
        described(project(tmp_path))


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    (tmp_path / "python_env.yaml").write_text("dependencies: []\n")
    found = project(tmp_path)
    place = environment_for(found, tmp_path / "home")
    assert (place / "bin" / "python").exists()
    (place / "mine").touch()
    assert environment_for(found, tmp_path / "home") == place
    assert (place / "mine").exists()


def test_words_of_the_command_line(tmp_path: Path) -> None:
    assert given_of(["a=1", "b-c=x=y"]) == {"a": "1", "b-c": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(InvalidInput):
            given_of(wrong)
    assert not is_mlproject(str(tmp_path))
    (tmp_path / "mlPROJECT").write_text("name: x")
    assert is_mlproject(str(tmp_path))
    for name in ("Wine Quality", "123", "Ünï/../x", "", "-" * 100):
        assert is_name(pipeline_name(name))
