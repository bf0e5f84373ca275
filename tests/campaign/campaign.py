"""Plays cases one after another, each in a folder of its own, and tells what was wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.inside import import_everything
from tests.campaign.material import Material
from tests.campaign.stage import Case, Stage


@dataclass(frozen=True)
class Result:
    """What became of a case."""

    name: str
    flags: tuple[str, ...]
    """What was wrong; nothing, if all was right."""
    commands: tuple[str, ...]
    """The command lines."""
    output: str
    """What the last command wrote, shortened."""
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    """How many damaged files were read, by what came of it, where a case reads many."""


class Campaign:
    """Everything that cases share. Computes nothing in this process, which forks.

    Args:
        kept: a new folder that keeps the places of flagged cases; none are kept by default.
    """

    def __init__(self, kept: Path | None = None) -> None:
        import_everything()
        self._folder = Path(tempfile.mkdtemp(prefix="campaign-"))
        self._folder.chmod(0o755)
        self._kept = kept
        self._count = 0
        self.material = Material(self._folder / "material")

    def play(self, case: Case) -> Result:
        """Plays one case."""
        self._count += 1
        folder = self._folder / f"{os.getpid()}-{self._count}"
        stage = Stage(folder, self.material)
        begun = time.monotonic()
        try:
            case.play(stage)
        except Exception:
            stage.flag(f"the case itself failed: {traceback.format_exc(limit=-3)}")
        last = stage.outcomes[-1] if stage.outcomes else None
        result = Result(
            name=case.name,
            flags=tuple(stage.flags),
            commands=tuple(str(outcome.launch) for outcome in stage.outcomes),
            output=f"{last.out[-600:]}{last.err[-1500:]}" if last else "",
            seconds=time.monotonic() - begun,
            counts=dict(stage.counts),
        )
        if stage.flags and self._kept:
            with contextlib.suppress(shutil.Error):  # FIFOs and the like
                kept = self._kept / case.name.replace("/", "_")[:100]
                shutil.copytree(folder, kept, symlinks=True, dirs_exist_ok=True)
        stage.clear()
        return result

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self._folder, ignore_errors=True)


def play_all(cases: Sequence[Case], kept: Path | None = None) -> Iterator[Result]:
    """Plays cases in their order."""
    campaign = Campaign(kept)
    try:
        for case in cases:
            yield campaign.play(case)
    finally:
        campaign.close()
