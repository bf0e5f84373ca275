from __future__ import annotations

from monet.clock import Horizon


def test_progress_is_the_larger_share_of_the_terms_that_exist() -> None:
    assert Horizon(pairs=100).progress(25, 1e9) == 0.25
    assert Horizon(seconds=50).progress(10**9, 10) == 0.2
    assert Horizon(pairs=100, seconds=50).progress(25, 10) == 0.25
    assert Horizon(pairs=100, seconds=50).progress(25, 40) == 0.8
    assert Horizon(pairs=100).progress(150, 0) == 1.0
