"""The counters after a step that was not finite."""

from __future__ import annotations

import logging

import pytest

from monet.training.reporting import NonFiniteStep
from monet.training.rollback import MAX_INCIDENTS, roll_back
from tests.training.test_step import execution

BAD = NonFiniteStep(step=4, pairs=range(6, 8), losses={"generator": float("nan"), "cycle_a": 1.0})


def test_the_pairs_of_the_step_are_skipped_and_an_epoch_in_fp32_is_ahead() -> None:
    engine = execution()
    counters = engine.state.counters
    counters.pairs, counters.step = 12, 6  # two more steps were taken before it was noticed
    incident = roll_back(engine, BAD, samples_per_epoch=100)
    assert (counters.pairs, counters.step, counters.skipped, counters.fp32_until) == (8, 3, 2, 108)
    assert (incident.pairs, incident.skipped, incident.fp32_until) == (8, 2, 108)
    assert engine.state.incidents == [incident]


def test_the_gradient_scaler_starts_anew() -> None:
    engine = execution(precision="fp16")
    start = engine.state.scaler.get_scale()
    engine.state.scaler.load_state_dict({**engine.state.scaler.state_dict(), "scale": 1.0})
    roll_back(engine, BAD, samples_per_epoch=100)
    assert engine.state.scaler.is_enabled()
    assert engine.state.scaler.get_scale() == start


def test_a_warning_names_the_pairs_the_losses_and_how_often_it_may_happen(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "monet"):
        roll_back(execution(), BAD, samples_per_epoch=100)
    (record,) = caplog.records
    assert record.args == (6, 7, "generator nan, cycle_a 1", 1, MAX_INCIDENTS)
