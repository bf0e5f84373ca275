"""Fuzzes `validate`: `python -m tests.campaign.fuzz --seconds N --seed S`.

Archives are damaged at random, those that had a new outcome again and again, and are validated in this process. Each
has to be valid, or to have reasons, or to be refused with one line; what is valid has to be readable by `zipfile` and
Pillow.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import re
import resource
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import get_args

from PIL import Image

from monet.archive import Code, Rules, validate
from monet.errors import InputError
from tests.campaign import damage
from tests.campaign.harms import HARMS
from tests.conftest import picture

SLOW = 5.0
"""Seconds after which a single archive hangs."""
_MOST_BYTES = 400_000
_REMEMBERED = 500
"""Archives with outcomes of their own that are damaged further."""
_FIELDS = (0, 1, 2, 8, 12, 20, 0x7F, 0xFF, 0x800, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF)
"""Values at which readers go wrong."""
_MARKS = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08")


class TooSlow(Exception):
    """An archive takes longer than any may."""


@dataclass
class Fuzzed:
    """What became of all archives."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Returns the result in lines."""
        kinds = Counter[str]()
        for outcome, count in self.outcomes.items():
            kinds[outcome.split(":")[0]] += count
        return [
            f"{self.cases:,} archives, {len(self.outcomes):,} distinct outcomes, the slowest took {self.slowest:.2f} s",
            ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()),
            *(f"fault: {fault}" for fault in self.faults),
            f"{len(self.faults)} faults",
        ]


def seeds() -> list[bytes]:
    """Returns whole archives of all sorts, from which the others are made."""
    jpeg, png = _saved("JPEG"), _saved("PNG")
    plain = damage.zipped([("a.jpg", jpeg), ("b.jpg", jpeg)])
    found = [
        plain,
        damage.zipped([("a.jpg", jpeg), ("é.png", png)], zipfile.ZIP_DEFLATED),
        damage.zipped([("a.jpg", jpeg)], zipfile.ZIP_BZIP2),
        damage.zipped([("a.jpg", jpeg)], zipfile.ZIP_LZMA),
        damage.zipped([]),
        damage.zipped([(f"{number}.jpg", b"") for number in range(30)]),
        _streamed(jpeg),
        _large(jpeg),
        plain + plain,
    ]
    with contextlib.suppress(Exception):
        found += [rewrite(plain) for name, rewrite in damage.REWRITES.items() if "200 MB" not in name]
    return found


def fuzz(folder: Path, seed: int, seconds: float = float("inf"), cases: int = sys.maxsize) -> Fuzzed:
    """Damages archives and validates them.

    Args:
        folder: for the archive at hand; those with a fault are kept there.
        seed: of all choices.
        seconds: after which it ends.
        cases: after so many, it ends, too.
    """
    chance, found = random.Random(seed), Fuzzed()
    whole = seeds()
    pool, until = list(whole), time.monotonic() + seconds
    path = folder / "a.zip"
    while time.monotonic() < until and found.cases < cases:
        data = mutated(chance.choice(pool), chance.choice(pool), chance)
        path.write_bytes(data)
        begun = time.monotonic()
        try:
            with _no_longer_than(SLOW):
                outcome = outcome_of(path, chance.choice(get_args(Rules)))
        except Exception as error:
            kept = folder / f"fault-{len(found.faults)}.zip"
            kept.write_bytes(data)
            found.faults.append(f"{type(error).__name__}: {error!s:.300} ({kept})")
            outcome = f"fault: {type(error).__name__}"
        found.slowest = max(found.slowest, time.monotonic() - begun)
        if outcome not in found.outcomes and len(data) < _MOST_BYTES:
            pool = [*whole, *pool[len(whole) :][-_REMEMBERED:], data]
        found.outcomes[outcome] += 1
        found.cases += 1
    return found


def outcome_of(path: Path, rules: Rules) -> str:
    """Validates an archive; returns what came of it, without the numbers in it.

    Raises:
        AssertionError: what it says contradicts the rules of the house, or what other readers say.
    """
    try:
        found = validate(path, rules, workers=1)
    except InputError as error:
        message = str(error)
        assert len(message.splitlines()) == 1, message
        return f"refused: {_without_numbers(message.replace(str(path), ''))}"
    for problem in found.problems:
        assert problem.code in get_args(Code), problem
        assert problem.message, problem
    assert found.valid == (not found.problems)
    if found.valid:
        _require_readable(path, found.num_images)
        return f"valid: {rules}"
    reasons = sorted({f"{problem.code} {_without_numbers(problem.message)}" for problem in found.problems})
    return f"not valid: {'; '.join(reasons)}"


def _require_readable(path: Path, count: int) -> None:
    """Checks that other readers find in a valid archive what it was said to hold."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names)) == count, names
        for name in names:
            assert "/" not in name
            with Image.open(io.BytesIO(archive.read(name))) as image:
                image.load()


def mutated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Returns an archive with one to four changes, which differs from the one given."""
    changed = data
    while changed == data:
        for _ in range(chance.randint(1, 4)):
            changed = _changed(changed or data, other, chance)
    return changed[:_MOST_BYTES]


def _changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    which = chance.random()
    if which < 0.5 and (places := [at for mark in _MARKS for at in damage.starts(data, mark)]):
        at = chance.choice(places) + chance.randint(4, 50)  # a field of a record
        length = chance.choice((1, 2, 4, 8))
        value = chance.choice((*_FIELDS, len(data), chance.randrange(1 << 32))) % (1 << 8 * length)
        return data[:at] + value.to_bytes(length, "little") + data[at + length :]
    if which < 0.6:
        at, end = chance.randint(0, len(data)), chance.randint(0, len(other))
        return data[:at] + other[end:]
    if which < 0.65:
        rewrite = chance.choice(list(damage.REWRITES.values())[:-20])
        with contextlib.suppress(Exception):
            return rewrite(data)
    try:
        return chance.choice(list(HARMS.values()))(data, chance)
    except Exception:  # its frame is none any more
        return HARMS["a bit flipped"](data or b"x", chance)


@contextlib.contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    def late(_: int, __: FrameType | None) -> None:
        raise TooSlow(f"longer than {seconds:g} s")

    earlier = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


def _without_numbers(text: str) -> str:
    """Returns a message without what differs from archive to archive: numbers, and what is quoted."""
    return re.sub(r"'[^']*'|b'.*|0x[0-9a-f]+|\d+", "#", text)[:80]


def _saved(kind: str) -> bytes:
    file = io.BytesIO()
    picture(1, (16, 16)).save(file, kind)
    return file.getvalue()


class _Stream(io.BytesIO):
    """A file that cannot go back, as a pipe: sizes follow the data."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError("a pipe")

    def seek(self, *_: int) -> int:
        raise OSError("a pipe")


def _streamed(jpeg: bytes) -> bytes:
    whole = _Stream()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", jpeg)
    return whole.getvalue()


def _large(jpeg: bytes) -> bytes:
    """With sizes of 64 bits."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive, archive.open("a.jpg", "w", force_zip64=True) as member:
        member.write(jpeg)
    return whole.getvalue()


def main() -> int:
    """Runs it; returns 1 where there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all choices (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep archives with a fault there")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        print(f"seed {options.seed}", flush=True)
        found = fuzz(options.keep or Path(folder), options.seed, options.seconds)
    print("\n".join(found.lines()))
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB held at most")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
