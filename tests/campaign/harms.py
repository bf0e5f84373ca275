"""What befalls bytes at random: bits that flip, ends that are cut, blocks that are lost, moved or other ones."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

from tests.campaign import damage

Harm = Callable[[bytes, random.Random], bytes]
"""Returns bytes that differ from those that it is given."""
_MOST_BITS, _BLOCK, _TRIES = 40, 512, 100


def a_bit(data: bytes, chance: random.Random) -> bytes:
    """Flips a bit."""
    return _flipped(data, [chance.randrange(8 * len(data))])


def some_bits(data: bytes, chance: random.Random) -> bytes:
    """Flips up to 40 bits."""
    bits = range(8 * len(data))
    return _flipped(data, chance.sample(bits, min(len(bits), chance.randint(2, _MOST_BITS))))


def a_bit_of_its_frame(data: bytes, chance: random.Random) -> bytes:
    """Flips a bit of what a format writes around its content."""
    spans = frame(data)
    at = chance.randrange(sum(last - first for first, last in spans))
    for first, last in spans:
        if at < last - first:
            return _flipped(data, [8 * (first + at) + chance.randrange(8)])
        at -= last - first
    raise AssertionError


def a_cut(data: bytes, chance: random.Random) -> bytes:
    """Leaves the end out; mostly a long one, at times a few bytes."""
    return data[: chance.randrange(len(data)) if chance.random() < 0.7 else -chance.randint(1, min(64, len(data)))]


def a_block_of_zeros(data: bytes, chance: random.Random) -> bytes:
    """Has zeros in the place of a block, as a file system leaves them after a power failure."""
    return _with_block(data, chance, bytes)


def a_block_of_noise(data: bytes, chance: random.Random) -> bytes:
    """Has noise in the place of a block."""
    return _with_block(data, chance, chance.randbytes)


def a_block_twice(data: bytes, chance: random.Random) -> bytes:
    """Has a block once more, in the place of another one."""
    at = chance.randrange(len(data))
    return _with_block(data, chance, lambda length: data[at : at + length].ljust(length, b"\0"))


def a_block_missing(data: bytes, chance: random.Random) -> bytes:
    """Leaves a block out."""
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randint(1, _BLOCK) :]


def a_block_more(data: bytes, chance: random.Random) -> bytes:
    """Has a block of noise more."""
    at = chance.randint(0, len(data))
    return data[:at] + chance.randbytes(chance.randint(1, _BLOCK)) + data[at:]


HARMS: dict[str, Harm] = {
    "a bit flipped": a_bit,
    "bits flipped": some_bits,
    "a bit of its frame flipped": a_bit_of_its_frame,
    "its end cut": a_cut,
    "a block of zeros": a_block_of_zeros,
    "a block of noise": a_block_of_noise,
    "a block twice": a_block_twice,
    "a block missing": a_block_missing,
    "a block more": a_block_more,
}


def frame(data: bytes) -> list[tuple[int, int]]:
    """Returns where a format writes about its content: first and last byte, behind it."""
    if data.startswith(b"PK"):
        headers = damage.starts(data, b"PK\x03\x04")
        lengths = [struct.unpack_from("<2H", data, at + 26) for at in headers]
        spans = [(at, at + 30 + sum(length)) for at, length in zip(headers, lengths, strict=True)]
        return [*spans, (struct.unpack_from("<I", data, data.rfind(b"PK\x05\x06") + 16)[0], len(data))]
    if data[8:9] == b"{":
        return [(0, 8 + int.from_bytes(data[:8], "little"))]
    return [(0, min(len(data), 200)), (max(0, len(data) - 400), len(data))]


def _flipped(data: bytes, bits: list[int]) -> bytes:
    changed = bytearray(data)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _with_block(data: bytes, chance: random.Random, other: Callable[[int], bytes]) -> bytes:
    """Returns other bytes in the place of a block; a flipped bit where they would be the same ones again and again."""
    for _ in range(_TRIES):
        at = chance.randrange(len(data))
        length = min(chance.randint(1, _BLOCK), len(data) - at)
        changed = data[:at] + other(length) + data[at + length :]
        if changed != data:
            return changed
    return a_bit(data, chance)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a folder": os.mkdir,
    "a FIFO": os.mkfifo,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a file without permission": lambda path: path.touch(0),
}
"""What may be in a file's place, and is made there."""
