"""Many batches of many runs as the rows that are written for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .records import RUN_NAME_TAG, Batch, Metric


@dataclass(slots=True)
class Rows:
    """Rows by what they are written to; a key is in each at most once, the last one that was given.

    The `latest` value of a metric is that of the greatest step, then time, then value (NaN counts as 0, as MLflow has
    it): the same one in whatever order points come.
    """

    metrics: set[tuple[Any, ...]] = field(default_factory=set)
    latest: dict[tuple[str, str], tuple[int, int, float, bool]] = field(default_factory=dict)
    params: dict[tuple[str, str], str] = field(default_factory=dict)
    tags: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """None: it is taken away."""
    changes: dict[str, list[Any]] = field(default_factory=dict)
    """Run -> status, end, name; None: stays."""
    model_metrics: dict[tuple[Any, ...], tuple[float, bool]] = field(default_factory=dict)
    runs: dict[str, None] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Take a batch in."""
        run = batch.run_id
        self.runs[run] = None
        if batch.metrics:
            self._add_metrics(run, batch.metrics)
        for param in batch.params:
            self.params[run, param.name] = param.value
        for tag in batch.tags:
            self.tags[run, tag.name] = tag.value
            if tag.name == RUN_NAME_TAG:
                self._change(run, 2, tag.value)
        for name in batch.dropped_tags:
            self.tags[run, name] = None
        if batch.status is not None:
            self._change(run, 0, str(batch.status))
        if batch.end_ms is not None:
            self._change(run, 1, batch.end_ms)
        if batch.name is not None:
            self._change(run, 2, batch.name)
            self.tags[run, RUN_NAME_TAG] = batch.name

    def _add_metrics(self, run: str, metrics: Iterable[Metric]) -> None:
        latest = self.latest
        for metric in metrics:
            value = float(metric.value)
            nan = value != value  # noqa: PLR0124 - the test for NaN that costs least
            if nan:
                value = 0.0
            self.metrics.add((run, metric.name, metric.at_ms, metric.step, value, nan))
            key, point = (run, metric.name), (metric.step, metric.at_ms, value, nan)
            known = latest.get(key)
            if known is None or point > known:
                latest[key] = point
            if metric.model_id is not None:
                self._add_model_metric(run, metric, value, nan)

    def _add_model_metric(self, run: str, metric: Metric, value: float, nan: bool) -> None:
        of = (metric.dataset_name or "", metric.dataset_digest or "")
        self.model_metrics[metric.model_id, metric.name, run, metric.step, metric.at_ms, *of] = (value, nan)

    def _change(self, run: str, place: int, value: Any) -> None:
        self.changes.setdefault(run, [None, None, None])[place] = value

    def parts(self) -> dict[str, Sequence[tuple[Any, ...]]]:
        """Return the rows as `tables.logged.write` takes them."""
        return {
            "runs": [(run,) for run in self.runs if run not in self.changes],
            "changes": [(*change, run) for run, change in self.changes.items()],
            "metrics": list(self.metrics),
            "latest": [(*key, *point) for key, point in self.latest.items()],
            "params": [(*key, value) for key, value in self.params.items()],
            "tags": [(*key, value) for key, value in self.tags.items() if value is not None],
            "dropped": [key for key, value in self.tags.items() if value is None],
            "model_metrics": [(*key, *point) for key, point in self.model_metrics.items()],
        }
