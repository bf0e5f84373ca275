from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from monet.threads import in_order


def test_results_come_in_the_order_of_the_calls() -> None:
    def late() -> str:
        time.sleep(0.05)
        return "a"

    with ThreadPoolExecutor(2) as pool:
        assert list(in_order([late, lambda: "b"], pool)) == ["a", "b"]
    assert list(in_order([late, lambda: "b"])) == ["a", "b"]


def test_where_a_call_fails_those_that_run_are_waited_for_and_the_others_do_not_begin() -> None:
    running, done = threading.Event(), []

    def fail() -> None:
        running.wait(10)
        raise ValueError("of the first")

    def finish() -> None:
        running.set()
        time.sleep(0.2)
        done.append("second")

    def begin() -> None:
        done.append("later")
        time.sleep(0.1)

    with ThreadPoolExecutor(2) as pool:
        calls = [fail, finish, *[begin] * 5]
        with pytest.raises(ValueError, match="of the first"):
            list(in_order(calls, pool))
        assert "second" in done
        time.sleep(0.3)
        assert done.count("later") <= 2
