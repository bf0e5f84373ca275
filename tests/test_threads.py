from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from monet.threads import compute_threads, in_order


def test_results_come_in_the_order_of_the_calls() -> None:
    def late() -> str:
        time.sleep(0.05)
        return "a"

    with ThreadPoolExecutor(2) as pool:
        assert list(in_order([late, lambda: "b"], pool)) == ["a", "b"]
    assert list(in_order([late, lambda: "b"])) == ["a", "b"]


def test_before_threads_compute_the_c_library_is_told_to_keep_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr("monet.threads.keep_freed_memory", lambda: told.append(True))
    with compute_threads(1):
        assert told == [True]


@pytest.mark.parametrize("threads_each", [1, 2])
def test_threads_that_compute_have_as_many_of_openmps_as_they_are_given(threads_each: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with compute_threads(2, threads_each) as pool:
            assert pool.submit(torch.get_num_threads).result() == threads_each
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


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
