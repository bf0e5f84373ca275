"""Standard streams that are closed, full, or whose reader goes away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.campaign.descriptors import StreamKind
from tests.campaign.material import PAINTED, PHOTOS, SCORED, TINY, TRANSLATED
from tests.campaign.stage import Case, Stage

_MODEL = ("--checkpoint", "run/checkpoints/last.pt")
_COMMANDS: dict[str, Sequence[str]] = {
    "submit": ("submit", "--data", "data", "--run", "run", *TINY, "--training.epochs", "2", "--score", "no"),
    "generate": ("generate", "--checkpoint", "run/checkpoints/last.pt", "--photos", "photos", "--zip", "x.zip"),
    "validate": ("validate", "pictures.zip", "--rules", "any"),
    "validate, in vain": ("validate", "pictures.zip"),
    "evaluate": ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED, "--json", "n.json"),
    "compare": (
        *("compare", "--run", "run", "--photos", "photos", "--reference", "paintings", *SCORED, "--device", "cpu"),
        *("--report", "c.html"),
    ),
    "translate": ("translate", *_MODEL, *TRANSLATED, "--input", "photos", "--output", "out"),
    "export": ("export", *_MODEL, "--safetensors", "m.safetensors"),
    "frames": ("frames", "--video", "film.mp4", "--output", "domain", "--every", "0.5s"),
    "help": ("train", "--help"),
    "an error": ("train", "--training.epochs", "-1"),
}
_NEEDED = {
    **dict.fromkeys(("generate", "translate", "export"), ("run",)),
    "evaluate": ("weights.pth",),
    "compare": ("run", "weights.pth"),
    "frames": ("film.mp4",),
}
"""What commands need besides pictures."""
_MADE = {
    "evaluate": "n.json",
    "compare": "c.html",
    "translate": "out/0.jpg",
    "export": "m.safetensors",
    "frames": "domain/trainB",
}
_LIBRARIES = {"export": ("safetensors",), "frames": ("av", "imagehash")}
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
        stage.needs("data", "photos", "generated", "paintings", "pictures.zip", *_NEEDED.get(name, ()))
        stage.run(*words, codes=codes, streams=streams, whole_exit=True)
        if name == "submit":
            stage.archive("run/images.zip", PAINTED)
            stage.expect(stage.path("run/report.html").is_file(), "there is no report")
        if name == "generate":
            stage.archive("x.zip", PHOTOS)
        if name in _MADE:
            stage.expect(stage.path(_MADE[name]).exists(), f"{_MADE[name]} was not written")

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
    return Case(f"streams/{name}: {kinds}", play, quick=quick, libraries=_LIBRARIES.get(name, ()))
