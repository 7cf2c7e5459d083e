"""Recipes: how tables become the table of training rows, as data. Named, typed steps over lazy Polars frames.

    recipe = Recipe("flights", [
        deduplicate(["flight"], keep="last", order="updated_at"),
        join("planes", on=["tailnum"]),
        filter("cancelled = false"),
    ])
    rows = recipe({"flights": flights, "planes": planes}).collect()

A recipe holds no code: it is written as JSON, hashed, explained in words, and checked against the tables' columns
before anything runs. It prepares *tables*; what a model is served with is prepared by a `Transform`.
"""

from __future__ import annotations

from .columns import Cast, Derive, Rename, Select
from .joins import AsOf, Join, WindowAggregates
from .recipe import STEPS, Prepared, Recipe, StepCount
from .rows import Deduplicate, DropNull, Filter, OnlyValues, Union

filter = Filter  # noqa: A001 - the word of the trade; import what you need by name
only_values = OnlyValues
drop_null = DropNull
deduplicate = Deduplicate
union = Union
select = Select
rename = Rename
derive = Derive
cast = Cast
join = Join
as_of = AsOf
window_aggregates = WindowAggregates

__all__ = [
    "STEPS",
    "Prepared",
    "Recipe",
    "StepCount",
    "as_of",
    "cast",
    "deduplicate",
    "derive",
    "drop_null",
    "filter",
    "join",
    "only_values",
    "rename",
    "select",
    "union",
    "window_aggregates",
]
