from __future__ import annotations

import math

from monet.clock import Deadline
from tests.conftest import FakeClock


def test_a_deadline_counts_down_and_goes_below_zero(clock: FakeClock) -> None:
    deadline = Deadline(clock, clock.now - 10, 60)
    assert deadline.remaining() == 50
    clock.advance(70)
    assert deadline.remaining() == -20


def test_a_process_without_a_budget_has_any_time(clock: FakeClock) -> None:
    deadline = Deadline.never(clock)
    clock.advance(1e9)
    assert deadline.remaining() == math.inf
