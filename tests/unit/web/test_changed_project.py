"""Control takes up a changed project file, and goes on with the one before where the new one has mistakes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelloop import app, control
from modelloop.evaluate.settings import Task
from modelloop.project import FILE
from modelloop.scaffold import scaffold


class Site:
    """A project's control, asked without a network."""

    def __init__(self, folder: Path) -> None:
        scaffold(folder, "trial", task=Task.BINARY)
        self.file = folder / FILE
        self.right = self.file.read_text()
        settings = app.settings_for(folder)
        self._site = control.asgi(folder, settings)
        self._token = app.secret_token(settings)

    def ask(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            head = {"authorization": f"Bearer {self._token}"}
            transport = httpx.ASGITransport(self._site)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=head) as client:
                return await client.get(path)

        return asyncio.run(ask())

    def picture(self) -> Any:
        return self.ask("/api/picture").json()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    return Site(tmp_path / "project")


def test_what_a_changed_file_says_is_shown_and_acted_on(site: Site) -> None:
    assert site.picture()["project"]["description"] == ""
    assert "second" not in site.ask("/runs").text
    more = '\n[pipelines.second]\nfunction = "steps:train"\n'
    site.file.write_text(site.right.replace('description = ""', 'description = "new"') + more)
    found = site.picture()
    assert (found["project"]["description"], found["troubles"]) == ("new", [])
    assert "second" in site.ask("/runs").text


def test_a_broken_file_is_told_everywhere_and_the_one_before_goes_on(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.file.write_text(site.right.replace("[project]", "[prject]"))
    with caplog.at_level(logging.ERROR, logger="modelloop.control"):
        found = site.picture()
    assert found["project"]["name"] == "trial"
    (told,) = found["troubles"]
    assert "goes on" in told
    assert 'did you mean "project"' in told
    assert sum("goes on" in record.message for record in caplog.records) == 1
    for page in ("/", "/runs", "/endpoints"):
        assert site.ask(page).text.count("so the one before goes on") == 1, page
    site.file.unlink()
    assert "There is no project file" in site.picture()["troubles"][0]
    site.file.write_text(site.right)
    assert site.picture()["troubles"] == []
    assert "goes on" not in site.ask("/runs").text
