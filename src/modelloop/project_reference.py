"""What is derived from the project file's records: the schema for editors and the reference page.

python -m modelloop.project_reference       # in the checkout: writes both anew; a test holds them true
"""

from __future__ import annotations

import json
from pathlib import Path

from .ground.core.toml import json_schema
from .ground.core.toml_reference import reference
from .project import Project

SCHEMA = Path(__file__).with_name("project.schema.json")
PAGE = Path("docs/project-file.md")
_HEAD = """\
# The project file: every setting

`modelloop.toml` stands in the project's folder. This page is written by `python -m modelloop.project_reference`
from the records that the parser reads into; a test holds it true. For a start: [how to write
one](how-to-project-file.md).

A duration is a whole number and a unit: `"90s"`, `"30m"`, `"6h"`, `"14d"`, `"2w"`. The NAME of a table starts with a
letter a-z and goes on with at most 62 of a-z, 0-9, `-` and `_`; a column may have any name (`"dep time"` in quotes).
What belongs together is checked too: names lead somewhere; a check, signal or trigger has the settings it needs and
none that it would not look at; metrics fit the task; the shares of a canary rise.

"""


def schema_text() -> str:
    """Return the JSON Schema of the project file."""
    return json.dumps(json_schema(Project), indent=2) + "\n"


def page_text() -> str:
    """Return the reference page."""
    return _HEAD + reference(Project).rstrip("\n") + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PAGE.write_text(page_text(), encoding="utf-8")
