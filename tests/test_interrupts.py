"""Ctrl-C in a training that is called from Python."""

from __future__ import annotations

import signal
import threading

import pytest

from monet.interrupts import CtrlC


@pytest.fixture(autouse=True)
def _default_handler(own_signals: None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever an earlier test has left


def test_a_first_ctrl_c_asks_to_stop_and_a_second_ends() -> None:
    interrupts = CtrlC()
    with interrupts.deferred() as stop_requested:
        assert not stop_requested()
        signal.raise_signal(signal.SIGINT)
        assert stop_requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert interrupts.received == signal.SIGINT


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    with pytest.raises(ZeroDivisionError), CtrlC().deferred():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_training_does_not_hear_of_the_ctrl_c_of_the_first() -> None:
    interrupts = CtrlC()
    with interrupts.deferred():
        signal.raise_signal(signal.SIGINT)
    with interrupts.deferred() as stop_requested:
        assert not stop_requested()


def test_a_callers_own_handler_and_other_threads_are_left_alone() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    with CtrlC().deferred() as stop_requested:
        signal.raise_signal(signal.SIGINT)
        assert not stop_requested()
    assert heard == [signal.SIGINT]
    answers: list[bool] = []

    def elsewhere() -> None:
        with CtrlC().deferred() as stop_requested:
            answers.append(stop_requested())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert answers == [False]
