"""Log lines and progress bars share stderr."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable

import pytest

from pipelines import _display
from pipelines._command import run_command

logger = logging.getLogger("monet.test")


def _said(main: Callable[[], object], capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What a command writes to stderr, without the bars; nothing may be on stdout."""

    def command(_: object) -> int:
        main()
        return 0

    assert run_command(command, words, torch=False) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    parts = captured.err.replace("\r", "\n").split("\n")
    return [part for part in map(str.rstrip, parts) if part and not part.startswith("drawing ")]


def _log() -> None:
    logger.debug("seen")
    logger.info("painting")
    logger.warning("late")
    logger.error("lost")


@pytest.mark.parametrize("bar", [True, False])
def test_a_line_tells_its_level_where_something_is_wrong(bar: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        bars = _display.Bars()
        if bar:
            bars.begin("drawing", 3, "pictures")
        _log()
        bars.end()

    assert _said(main, capsys) == ["painting", "warning: late", "error: lost"]
    assert _said(main, capsys, "--debug") == ["seen", "painting", "warning: late", "error: lost"]


def test_a_line_beside_a_bar_stands_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: object) -> int:
        bars = _display.Bars()
        bars.begin("drawing", 3, "pictures")
        bars.advance(2)
        logger.warning("late")
        bars.advance()
        bars.end()
        return 0

    assert run_command(main, [], torch=False) == 0
    lines = capsys.readouterr().err.split("\n")
    assert any(line.endswith("\rwarning: late") for line in lines)  # the bar was cleared before, and follows
    assert "100%" in lines[-2]


def test_a_debug_message_with_an_error_shows_its_traceback_beside_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        _display.Bars().begin("drawing", 3, "pictures")
        try:
            raise KeyError("lost")
        except KeyError:
            logger.debug("where", exc_info=True)

    said = _said(main, capsys, "--debug")
    assert (said[0], said[-1]) == ("where", "KeyError: 'lost'")


def test_a_stage_that_was_broken_off_is_closed_when_the_next_begins(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        handlers = logging.getLogger("monet").handlers
        bars = _display.Bars()
        for _ in range(2):
            bars.begin("drawing", 3, "pictures")
        assert logging.getLogger("monet").handlers != handlers
        bars.end()
        assert logging.getLogger("monet").handlers == handlers

    assert _said(main, capsys) == []


def test_a_message_that_is_logged_after_a_command_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: object) -> int:
        _display.Bars().begin("drawing", 3, "pictures")  # and it is never ended
        return 0

    assert run_command(main, [], torch=False) == 0
    _log()
    assert capsys.readouterr().err.endswith("painting\nwarning: late\nerror: lost\n")


def test_the_bar_of_a_resumed_run_moves_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("tqdm.std.time", lambda: now)

    def main(_: object) -> int:
        nonlocal now
        bars = _display.Bars()
        bars.begin("training", 1, "progress")
        for percent in range(40, 51, 5):
            now += 60
            bars.update(percent / 100, f"{percent} pairs", 600.0)
        bars.end(done=False)
        return 0

    assert run_command(main, [], torch=False) == 0
    shown = capsys.readouterr().err
    assert all(f"{percent}%" in shown and f"{percent} pairs" in shown for percent in (40, 45, 50))


class Unread(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_bar_and_its_lines_are_lost_in_silence_where_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def main(_: object) -> int:
        bars = _display.Bars()
        bars.begin("drawing", 3, "pictures")
        _log()
        bars.advance()
        bars.end()
        _log()
        return 0

    for stream in (Unread(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert run_command(main, [], torch=False) == 0
