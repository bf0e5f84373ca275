"""Numbers on the command line, written as settings write them: with the digits 0 to 9, in tens, without underscores."""

from __future__ import annotations

import argparse
import re

from monet.errors import shown

_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,29})")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


def whole_number(text: str) -> int:
    """Reads an option's whole number.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not _WHOLE.fullmatch(text.strip()):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no whole number: write it as 12")
    return int(text)


def number(text: str) -> float:
    """Reads an option's number.

    Raises:
        argparse.ArgumentTypeError: it is none, or larger than any use.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no number: write it as 0.1")
    return float(text)
