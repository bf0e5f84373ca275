"""Standard streams that are closed, full, or whose reader goes away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.campaign.descriptors import StreamKind
from tests.campaign.material import PAINTED, PHOTOS, SCORED, TINY
from tests.campaign.stage import Case, Stage

_COMMANDS: dict[str, Sequence[str]] = {
    "submit": ("submit", "--data", "data", "--run", "run", *TINY, "--training.epochs", "2", "--score", "no"),
    "generate": ("generate", "--checkpoint", "run/checkpoints/last.pt", "--photos", "photos", "--zip", "x.zip"),
    "validate": ("validate", "pictures.zip", "--rules", "any"),
    "validate, in vain": ("validate", "pictures.zip"),
    "evaluate": ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED, "--json", "n.json"),
    "help": ("train", "--help"),
    "an error": ("train", "--training.epochs", "-1"),
}
_BAD: tuple[StreamKind, ...] = ("closed", "full", "vanished", "vanishes", "read-only", "hang-up")


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class; nothing in them is chosen at random."""
    for name in _COMMANDS:
        for kind in _BAD:
            yield _case(name, ("null", kind, "file"))
            yield _case(name, ("null", "file", kind))
            if name in ("submit", "generate", "an error", "validate"):
                yield _case(name, ("null", kind, kind))
        yield _case(name, ("null", "pty", "pty"))
    for name in ("submit", "validate", "generate"):
        yield _case(name, ("closed", "file", "file"))
        yield _case(name, ("closed", "closed", "closed"))
        yield _case(name, ("vanished", "file", "file"))
    yield _case("submit", ("null", "vanished", "closed"))
    yield _case("submit", ("null", "full", "vanishes"))


def _case(name: str, streams: tuple[StreamKind, StreamKind, StreamKind]) -> Case:
    """One code of the contract, whoever listens; and what was worked for is there."""
    words = _COMMANDS[name]
    right = {"an error": 2, "validate, in vain": 1}.get(name, 0)
    unheard = right != 2 and streams[1] not in ("file", "pty")
    codes = {right, 1} if unheard else {right}  # results that nobody got may be a failure, or not

    def play(stage: Stage) -> None:
        stage.needs("data", "photos", "generated", "paintings", "pictures.zip")
        if name == "generate":
            stage.needs("run")
        if name == "evaluate":
            stage.needs("weights.pth")
        stage.run(*words, codes=codes, streams=streams, whole_exit=True)
        if name == "submit":
            stage.archive("run/images.zip", PAINTED)
            stage.expect(stage.path("run/report.html").is_file(), "there is no report")
        if name == "generate":
            stage.archive("x.zip", PHOTOS)
        if name == "evaluate":
            stage.expect(stage.path("n.json").is_file(), "the numbers were not written")

    kinds = ", ".join(
        f"{which} {kind}"
        for which, kind in zip(("stdin", "stdout", "stderr"), streams, strict=True)
        if kind not in ("null", "file")
    )
    quick = (name, streams[1:]) in {
        ("an error", ("file", "full")),
        ("validate", ("full", "file")),
        ("submit", ("file", "closed")),
    }
    return Case(f"streams/{name}: {kinds}", play, quick=quick)
