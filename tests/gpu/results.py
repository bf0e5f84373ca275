"""What the parts said, kept as JSON lines."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from monet.errors import InputError
from tests.benchmarks.measure import print_table

Status = Literal["passed", "failed", "stopped", "skipped", "no time"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a part went."""

    part: str
    """Its name."""
    status: Status
    """`stopped`: at its own limit; `no time`: not started, or stopped because all the time was up."""
    line: str
    """What it says."""
    seconds: float = 0.0
    """That it took."""
    figures: dict[str, Any] = field(default_factory=dict)
    """The same as numbers."""

    @property
    def done(self) -> bool:
        """It need not be asked again."""
        return self.status in ("passed", "failed", "stopped")

    @property
    def wrong(self) -> bool:
        """It ran, and did not pass."""
        return self.status in ("failed", "stopped") or (self.status == "no time" and self.seconds > 0)


class Results:
    """The results in a folder, and the machine that they belong to.

    Args:
        folder: where `results.jsonl` and `summary.md` are.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "results.jsonl"
        self._summary = folder / "summary.md"
        self._lines = _lines(self._path)

    def belong_to(self, machine: dict[str, Any]) -> None:
        """Notes the machine.

        Raises:
            InputError: the results are another machine's.
        """
        known = next((line["machine"] for line in self._lines if "machine" in line), None)
        if known is None:
            self._append({"machine": machine})
        elif known != machine:
            raise InputError(f"{self._path} holds results of {_told(known)}, this is {_told(machine)}: another --out")

    @property
    def known(self) -> dict[str, Result]:
        """The last result of each part."""
        return {line["part"]: Result(**line) for line in self._lines if "part" in line}

    def add(self, result: Result) -> None:
        """Keeps a result."""
        self._append(asdict(result))

    def table(self, names: list[str]) -> str:
        """The results of some parts as a table in Markdown; written to `summary.md`, too."""
        known = self.known
        rows = [
            [result.part, result.status, f"{result.seconds:.0f}", result.line.replace("|", "/")]
            for name in names
            if (result := known.get(name))
        ]
        with contextlib.redirect_stdout(io.StringIO()) as text:
            print_table(["part", "result", "seconds", "found"], rows)
        self._summary.write_text(text.getvalue(), encoding="utf-8")
        return text.getvalue()

    def _append(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, default=str)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        self._lines.append(json.loads(text))


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; one that a kill cut off is left out, and ended, so that the next one is whole."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")
    found = []
    for line in text.splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def _told(machine: dict[str, Any]) -> str:
    return ", ".join(map(str, machine.values()))
