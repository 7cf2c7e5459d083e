"""How the rows of dataset versions are kept: parts, made of Parquet cells that versions share.

In go the parts of a version and what arrived; out come the parts of the next version. Nothing that exists is changed.
"""

from .blocks import replace_by_content
from .changes import rows_changed
from .compacting import append, compact
from .erasing import remove
from .replacing import replace
from .scanning import scan
from .store import Store
from .upserting import Upserted, upsert

__all__ = [
    "Store",
    "Upserted",
    "append",
    "compact",
    "remove",
    "replace",
    "replace_by_content",
    "rows_changed",
    "scan",
    "upsert",
]
