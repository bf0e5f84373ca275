"""Whether a JPEG file is whole. Most decoders, Pillow's among them, fill in what is missing and say nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

logger = logging.getLogger(__name__)

START = b"\xff\xd8"
"""First bytes of every JPEG file."""

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
"""The start of a segment: not a stuffed 0xff in image data, nor a restart marker between them."""
_HUFFMAN_TABLES, _END, _START_OF_SCAN = 0xC4, 0xD9, 0xDA
_PROGRESSIVE = 0xC2
_HUFFMAN_FRAMES = (0xC0, 0xC1, _PROGRESSIVE)
_GREY_OR_COLOUR = (1, 3)
"""Components of the images that the strict decoder reads."""


def damage(data: bytes) -> str | None:
    """Says what is wrong with a JPEG file, though a lenient decoder may read it.

    Finds a missing Huffman table, in whose place libjpeg uses a common one, and image data that are cut, overwritten or
    too long, as far as libjpeg-turbo notices. Does not find other data that decode as well, as after most flips of a
    single bit in a baseline file, whole scans that are missing in a progressive one, and damaged data in CMYK images.

    Args:
        data: a file that has been opened, so that its size in pixels is known to be bearable.

    Returns:
        The fault in a few words; None where there is none.
    """
    try:
        components, whole = _read_headers(data)
    except (IndexError, ValueError):
        return "a header is cut"
    if not whole:
        return "a Huffman table is missing"
    decode = _strict_decoder()
    if decode is None or components not in _GREY_OR_COLOUR:
        return None
    try:
        decode(data)
    except Exception:  # kornia-rs raises bare exceptions that say nothing  # noqa: BLE001
        return "the image data are damaged"
    return None


def _read_headers(data: bytes) -> tuple[int, bool]:
    """Returns the number of components, and whether every scan has its Huffman tables; ValueError where there is no
    scan."""
    components = frame = scans = 0
    defined: set[int] = set()
    whole = True
    for marker, segment in _segments(data):
        if marker == _HUFFMAN_TABLES:
            defined |= _tables_defined(segment)
        elif marker in _HUFFMAN_FRAMES:
            frame, components = marker, segment[5]
        elif marker == _START_OF_SCAN:
            scans += 1
            whole = whole and (not frame or _tables_used(segment, frame) <= defined)
    if not scans:
        raise ValueError("no scan")
    return components, whole


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Returns marker and content of each segment, up to the end of the image; what follows a scan's header is passed
    over."""
    position = len(START)
    while (found := _MARKER.search(data, position)) and (marker := found[1][0]) != _END:
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        yield marker, data[found.end() + 2 : found.end() + length]
        position = found.end() + length


def _tables_defined(segment: bytes) -> set[int]:
    """Class (0: DC, 16: AC) and number of each Huffman table in a segment, added."""
    defined, position = set(), 0
    while position < len(segment):
        defined.add(segment[position])
        position += 1 + 16 + sum(segment[position + 1 : position + 17])
    return defined


def _tables_used(scan: bytes, frame: int) -> set[int]:
    """Returns the same for the tables that a scan's header refers to."""
    first, _, approximation = scan[-3:]
    used = set()
    for selector in scan[2:-3:2]:
        dc, ac = selector >> 4, selector & 15
        if frame != _PROGRESSIVE or (first == 0 and approximation < 16):  # refinements of DC values are bare bits
            used.add(dc)
        if frame != _PROGRESSIVE or first > 0:
            used.add(16 + ac)
    return used


@cache
def _strict_decoder() -> Callable[[bytes], Any] | None:
    """Decodes a file by libjpeg-turbo, with every warning as an error. Part of kornia, under a name that has moved."""
    try:
        import kornia_rs
    except ImportError:
        logger.warning("kornia-rs is not installed: damaged image data of JPEG files are found only in part")
        return None
    decoder = getattr(getattr(kornia_rs, "io", kornia_rs), "ImageDecoder", None)
    return None if decoder is None else lambda data: decoder().decode(data)  # one object serves one thread
