from __future__ import annotations

import pytest

from monet.clock import Pace


def test_the_warm_up_is_not_a_measure_of_pace() -> None:
    pace = Pace()
    pace.record(60.0)
    for _ in range(6):
        pace.record(1.0)
    assert pace.seconds_per_step == pytest.approx(1.0)
