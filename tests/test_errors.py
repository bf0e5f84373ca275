from __future__ import annotations

import pytest

from monet.errors import first_line, shortened, shown


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    line = shortened("start" + "x" * 800_000 + "end", 100)
    assert len(line) == 100
    assert line.startswith("startxxx")
    assert line.endswith("xxxend")
    assert " … " in line


@pytest.mark.parametrize("text", ["", "plain", "ü — ٣", "x" * 100])
def test_a_short_text_stays_as_it_is(text: str) -> None:
    assert shortened(text, 100) == text


def test_a_text_is_always_one_line_without_control_characters() -> None:
    assert shortened("one\n\n two\x00\x1b[31m\u2028three\n", 100) == "one  two [31m three"


def test_a_value_is_shown_in_quotes_and_no_longer_than_a_line() -> None:
    assert shown("5x") == "'5x'"
    assert (shown(3), shown("3"), shown([1, "a"])) == ("3", "'3'", "[1, 'a']")
    assert shown(10**5_000) == "a number of thousands of digits"
    assert shown("\udcff") == r"'\udcff'"
    assert len(shown("y" * 10_000)) <= 82


def test_an_error_is_told_by_the_first_line_of_its_message() -> None:
    assert first_line(RuntimeError("\n  no kernel image  \nat line 3")) == "no kernel image  "
    assert first_line(RuntimeError(" \n ")) == "no reason"
    assert first_line(KeyError(), "nothing") == "nothing"
