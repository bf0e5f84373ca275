"""What holds for whatever is given: tests whose inputs hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FEW, MANY = 60, 3000
EXAMPLES = pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
"""For each test: some inputs, the same each time, and with `-m slow` many of them."""


def holds(check: Callable[..., object], *strategies: Any, examples: int) -> None:
    """Checks that something holds for so many inputs, which are drawn by strategies, one an argument."""
    import hypothesis

    settings = hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def check_one(drawn: tuple[Any, ...]) -> None:
        check(*drawn)

    settings(hypothesis.given(hypothesis.strategies.tuples(*strategies))(check_one))()
