"""What the contract says of any command, whatever is done to it."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import stat
import zipfile
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from PIL import Image

from tests.campaign.launch import Outcome

LONGEST_LINE = 620
"""Characters of an error line, and of what stands before it."""
MOST_MEMORY = 2 * 2**30
"""Bytes that a command with tiny settings may hold; PyTorch itself is half a gigabyte of them."""
_NEVER = ("Traceback (most recent", "unexpected", "Exception ignored", "Fatal Python error", "Segmentation fault")
_STARTS = {130: ("Ctrl-C: ",), 143: ("SIGTERM: ",), 129: ("SIGHUP: ",), 1: ("error: ",), 2: ("error: ",)}
_VERDICTS = {("validate", 1), ("doctor", 1)}
"""Here the exit code is the answer, and stdout says why."""
_PARTLY = ("translate", "frames")
"""Commands that end with 1 where some of their inputs could not be read, and say on stdout which."""
_SPEAKER = re.compile(r"^process \S*: ")
"""What stands before the lines of one of several processes."""
_LARGE = 200 * 2**20
_SHOWN = 3


def faults(
    outcome: Outcome, codes: Collection[int], says: Sequence[str] = (), memory: int = MOST_MEMORY
) -> Iterator[str]:
    """What is wrong with how a command ended.

    Args:
        outcome: how it did.
        codes: exit codes that are right here.
        says: words of which the error line must hold each.
        memory: bytes that it may have held.
    """
    last = last_line(outcome.err)
    if outcome.hung:
        yield f"still running after {outcome.seconds:.0f} s; stderr ends with {last!r}"
        return
    if outcome.code < 0 and outcome.code not in codes:
        yield f"ended by {signal.Signals(-outcome.code).name}, expected exit {_or(codes)}"
    elif outcome.code not in codes:
        yield f"exit {outcome.code}, expected {_or(codes)}: {_cut(last or last_line(outcome.out) or 'no word')}"
    for word in _NEVER:
        for name, text in (("stdout", outcome.out), ("stderr", outcome.err)):
            if word.casefold() in text.casefold():
                yield f"{name} says {word!r}: {_cut(_around(text, word))}"
    partly = outcome.launch.command in _PARTLY and outcome.code == 1 and outcome.out.strip()
    verdict = partly or (outcome.launch.command, outcome.code) in _VERDICTS
    if outcome.launch.streams[2] in ("file", "pipe") and not verdict:
        yield from _line_faults(outcome, says)
    if outcome.peak > memory:
        yield f"held {outcome.peak / 2**30:.1f} GB, allowed are {memory / 2**30:.1f}"
    if outcome.left_behind:
        yield "processes that it had started outlived it"


def _line_faults(outcome: Outcome, says: Sequence[str]) -> Iterator[str]:
    if outcome.code not in _STARTS:
        return
    lines = [_SPEAKER.sub("", line) for line in outcome.err.split("\n")]
    errors = [line for line in lines if line.startswith(("error: ", "Ctrl-C: ", "SIGTERM: ", "SIGHUP: "))]
    last = _SPEAKER.sub("", last_line(outcome.err))
    if not last.startswith(_STARTS[outcome.code]):
        yield f"exit {outcome.code} without a last line that starts with {_STARTS[outcome.code][0]!r}: {_cut(last)}"
    elif len(errors) > 1:
        yield f"{len(errors)} error lines: {_cut(errors[0])} / {_cut(errors[-1])}"
    if len(last) > LONGEST_LINE:
        yield f"an error line of {len(last)} characters: {_cut(last)}"
    if "\r" in last.rstrip("\r"):
        yield f"an error line with a carriage return in it: {_cut(last)}"
    for word in says:
        if word not in last:
            yield f"the error line does not say {word!r}: {_cut(last)}"


def last_line(text: str) -> str:
    """The last line that is not empty."""
    lines = [line for line in text.split("\n") if line.strip()]
    return lines[-1] if lines else ""


def snapshot(folder: Path) -> dict[str, str]:
    """Every path below a folder with what it is: its kind and a digest of its content. Links are not followed."""
    found: dict[str, str] = {}
    for top, folders, files in os.walk(bytes(folder)):
        for name in folders + files:
            path = os.path.join(top, name)  # noqa: PTH118
            found[os.fsdecode(path)[len(str(folder)) + 1 :]] = _state(path)
    return found


def changes(before: dict[str, str], after: dict[str, str], allowed: Sequence[str]) -> Iterator[str]:
    """Which of the files that were there before are gone or different, but for those that may be.

    Args:
        before: a snapshot.
        after: another one.
        allowed: patterns of paths that may change.
    """
    found = [
        path
        for path, state in before.items()
        if after.get(path) != state and not any(fnmatch(path, pattern) for pattern in allowed)
    ]
    for path in found[:_SHOWN]:
        now = f"is {_cut(after[path], 24)}" if path in after else "is gone"
        yield f"{_shown(path)} was {_cut(before[path], 24)} and {now}"
    if len(found) > _SHOWN:
        yield f"{len(found) - _SHOWN} more paths are others or gone"


def litter(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """Unfinished files that a command left."""
    for path in after.keys() - before.keys():
        if ".partial" in Path(path).name or ".tmp" in Path(path).name:
            yield f"{_shown(path)} was left behind"


def archive_faults(path: Path, count: int) -> Iterator[str]:
    """What is wrong with an archive that a command says is complete; knows nothing of monet's own validator."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) != count or len(set(names)) != count:
                yield f"{path.name} holds {len(names)} images, expected {count}"
            for name in names:
                image = Image.open(io.BytesIO(archive.read(name)))
                image.load()
                if (image.format, image.mode, image.size) != ("JPEG", "RGB", (256, 256)):
                    yield f"{name} in {path.name} is {image.format} {image.mode} {image.size}"
    except Exception as error:
        yield f"{path.name} is no archive that can be read: {type(error).__name__}: {error}"


def _state(path: bytes) -> str:
    status = os.lstat(path)
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)!r}"  # noqa: PTH115
    if stat.S_ISREG(mode):
        if status.st_size > _LARGE:
            return f"file of {status.st_size} bytes from {status.st_mtime_ns}"
        try:
            with open(path, "rb") as file:
                return f"file {hashlib.sha256(file.read()).hexdigest()[:16]}"
        except PermissionError:
            return f"file of {status.st_size} bytes from {status.st_mtime_ns}, which nobody may read"
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device"}
    return kinds.get(stat.S_IFMT(mode), "something else")


def _around(text: str, word: str) -> str:
    return next(line for line in text.split("\n") if word.casefold() in line.casefold())


def _or(codes: Collection[int]) -> str:
    return " or ".join(map(str, sorted(codes)))


def _shown(path: str) -> str:
    return _cut(path.encode(errors="backslashreplace").decode(), 80)


def _cut(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
