"""The model of a cluster: formula and simulation agree, and no shard is lost or finished twice."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("simpy", reason="simpy is among the extra requirements")

from tests.benchmarks.cluster_formula import Cluster, formula
from tests.benchmarks.cluster_model import compare
from tests.benchmarks.cluster_simulation import Simulation

CALM = Cluster(
    images=64_000, devices=16, images_per_second=10, shard=1000, spread=0, slow_share=0, preemptions=0, overhead=2
)
"""64 shards in four rounds of 102 s, and a warm-up of 30 s."""


def test_without_chance_the_simulation_is_the_formula() -> None:
    assert formula(CALM).total == pytest.approx(438)
    assert Simulation(CALM, 0).run().seconds == pytest.approx(438)


def test_a_round_that_is_not_full_takes_as_long_as_a_full_one() -> None:
    cluster = Cluster(**{**vars(CALM), "images": 65_000})
    assert formula(cluster).total == pytest.approx(438 + 102)
    assert Simulation(cluster, 0).run().seconds == pytest.approx(438 + 102)


def test_with_preemptions_every_shard_is_finished_once_and_some_work_is_done_again() -> None:
    cluster = Cluster(**{**vars(CALM), "images": 400_000, "devices_per_node": 2, "preemptions": 100.0, "spread": 0.3})
    outcome = Simulation(cluster, 1).run()
    assert outcome.completed == (1,) * 400
    assert outcome.ends > 10
    assert outcome.lost > 0


def test_the_last_shard_may_be_smaller() -> None:
    cluster = Cluster(**{**vars(CALM), "images": 63_001})
    assert Simulation(cluster, 0).run().completed == (1,) * 64


@pytest.mark.parametrize("changed", [{"spread": 0.3}, {"slow_share": 0.5}, {"preemptions": 200.0}, {"store": 5e6}])
def test_the_formula_is_near_where_one_thing_happens_by_chance(changed: dict[str, float]) -> None:
    cluster = Cluster(**{**vars(CALM), "images": 1_000_000, "devices_per_node": 4, **changed})
    assert abs(compare(cluster, 20).difference) < 0.03


def test_the_store_bounds_the_time() -> None:
    cluster = Cluster(**{**vars(CALM), "store": 1e6, "spread": 0.1})
    moving = 64_000 * 58e3 / 1e6
    assert formula(cluster).total == pytest.approx(moving, rel=0.1)
    assert Simulation(cluster, 0).run().seconds == pytest.approx(moving, rel=0.1)


def test_an_end_costs_half_a_shard_a_warm_up_and_a_replacement() -> None:
    cluster = Cluster(**{**vars(CALM), "images": 10**9, "preemptions": 1.0})
    rate, m = 1 / 86400, 102
    about = rate * (m / 2 + cluster.warm_up + cluster.replacement)
    calm = formula(Cluster(**{**vars(cluster), "preemptions": 0.0}))
    assert formula(cluster).preemptions / (calm.ideal + calm.overhead) == pytest.approx(about, rel=0.01)


def test_equal_seeds_give_equal_runs_and_devices_come_in_whole_nodes() -> None:
    cluster = Cluster(**{**vars(CALM), "spread": 0.5, "preemptions": 50.0})
    assert Simulation(cluster, 3).run() == Simulation(cluster, 3).run()
    with pytest.raises(ValueError, match="no whole nodes"):
        Cluster(devices=10, devices_per_node=4)
    assert math.isinf(Cluster().store)
