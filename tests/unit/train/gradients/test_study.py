"""The study on offline tables: nothing in a table runs, curves count what was spent, pictures are SVG."""

from __future__ import annotations

import io
import pickle
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks.studies.curves import beside, curve
from benchmarks.studies.draw import picture
from benchmarks.studies.searches import grid, regrets, searched, suits
from benchmarks.studies.tables import FAMILIES, Table, _Plain, read

CHANCE = np.random.default_rng(0)
TABLE = Table(
    "own/small",
    {"rate": tuple(range(6)), "kind": ("a", "b"), "width": (16, 32, 64)},
    CHANCE.uniform(size=(6, 2, 3, 4)) + np.abs(np.arange(6) - 4)[:, None, None, None],
)


def test_a_table_of_the_package_is_whole_and_its_best_has_no_regret():
    table = read("nasbench201", "cifar10")
    means = table.losses.mean(axis=-1)
    assert means.size == 5**6
    assert 0 < means.min() < 0.1
    best = np.unravel_index(means.argmin(), means.shape)
    params = {name: options[index] for (name, options), index in zip(table.options.items(), best, strict=True)}
    assert table.regret(float(table.trainings(params).mean())) == 0
    assert table.regret(float(np.median(means))) == pytest.approx(1)


def test_nothing_in_a_table_can_run():
    with pytest.raises(pickle.UnpicklingError, match="numbers and texts only"):
        _Plain(io.BytesIO(pickle.dumps(print))).load()


@pytest.mark.parametrize("method", ["random", "grid", "tpe", "cmaes", "hyperband"])
def test_a_search_of_a_small_table_comes_near_its_best(method):
    found, cpu = searched(TABLE, method, seed=1)
    known = found[np.isfinite(found)]
    assert len(found) == 100
    assert (np.diff(known) <= 0).all()
    assert known[-1] < 0.5
    assert cpu > 0


def test_regret_counts_trainings_not_trials():
    means = np.array([5.0, np.inf, 2.0])
    found = regrets(TABLE, means, np.array([4, 1, 4]), budget=4)
    assert found.tolist() == [TABLE.regret(5.0), TABLE.regret(5.0), TABLE.regret(2.0), TABLE.regret(2.0)]
    assert np.isnan(regrets(TABLE, np.array([2.0]), np.array([7]), budget=1)).all()


def test_a_persons_grid_has_at_most_as_many_points_as_trials():
    for family, (options, _) in FAMILIES.items():
        table = Table(family, options, np.zeros((*map(len, options.values()), 1)))
        sizes = [len(domain.options) for domain in grid(table, 100, seed=3).values()]
        assert 50 < np.prod(sizes) <= 100
        assert suits("cmaes", table) == (family != "nasbench201")
    assert grid(TABLE, 100, seed=1)["rate"].options == (0, 1, 2, 3, 4, 5)


def test_curves_have_intervals_and_differences_a_sentence():
    same = CHANCE.uniform(size=(30, 100))
    assert beside(same, same[::-1])["100"]["says"] == "no difference shown"
    assert beside(same - 0.5, same)["10"] == {"difference": -0.5, "low": -0.5, "high": -0.5, "says": "better"}
    assert beside(same[:20] + 0.5, same)["50"]["says"] == "worse"
    drawn = curve(same)
    assert all(low <= mean <= high for low, mean, high in zip(drawn["low"], drawn["mean"], drawn["high"], strict=True))


def test_the_picture_is_svg_with_a_panel_for_each_table():
    found = {name: {"random": {"curve": curve(CHANCE.uniform(0.01, 1, (20, 100)))}} for name in ("a & b", "c")}
    drawn = ElementTree.fromstring(picture(found, {"random": "random search"}, "Regret <of all>"))
    texts = [element.text for element in drawn.iter() if element.text]
    assert {"a & b", "c", "random search", "Regret <of all>"} <= set(texts)
    assert len([element for element in drawn.iter() if element.tag.endswith("polyline")]) == 2
