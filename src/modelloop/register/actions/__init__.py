"""Verbs of the register, by group: `registering` (packages), `versions` (look up, note, delete), `models` (names),
`aliases` (what they name, since when and why), `searching`, `snapshots` (folders in MLflow's format), `converting`
(what gateways load), `moving` (folders in and out, every byte checked)."""

from typing import TYPE_CHECKING

from ...ground.core.later import on_demand
from .aliases import alias_at, alias_history, aliases_of, by_alias, drop_alias, live_at, route_moved, set_alias
from .models import (
    create_model,
    delete_model,
    delete_model_tag,
    get_model,
    models,
    rename_model,
    set_model_tag,
    update_model,
)
from .versions import (
    delete_version,
    delete_version_tag,
    get_version,
    latest,
    of_number,
    set_version_tag,
    unconverted,
    update_version,
    versions,
)

if TYPE_CHECKING:
    from .moving import Checked, export_version, import_folder, verify
    from .registering import card, register
    from .searching import search_models, search_versions
    from .snapshots import as_snapshot, create_version, put_snapshot, snapshot_of

__all__ = [
    "Checked",
    "alias_at",
    "alias_history",
    "aliases_of",
    "as_snapshot",
    "by_alias",
    "card",
    "create_model",
    "create_version",
    "delete_model",
    "delete_model_tag",
    "delete_version",
    "delete_version_tag",
    "drop_alias",
    "export_version",
    "get_model",
    "get_version",
    "import_folder",
    "latest",
    "live_at",
    "models",
    "of_number",
    "put_snapshot",
    "register",
    "rename_model",
    "route_moved",
    "search_models",
    "search_versions",
    "set_alias",
    "set_model_tag",
    "set_version_tag",
    "snapshot_of",
    "unconverted",
    "update_model",
    "update_version",
    "verify",
    "versions",
]

# These bring candidates or tracking along: a rollback, which is to take no time, does without.
__getattr__ = on_demand(
    __name__,
    {
        ".moving": ("Checked", "export_version", "import_folder", "verify"),
        ".registering": ("card", "register"),
        ".searching": ("search_models", "search_versions"),
        ".snapshots": ("as_snapshot", "create_version", "put_snapshot", "snapshot_of"),
    },
)
