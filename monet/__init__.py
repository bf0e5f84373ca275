"""Photo to painting: train an unpaired translator against the clock, paint every photo, know the score.

The API is loaded when it is first used: `import monet` alone imports neither PyTorch nor anything else that is large.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monet.api import (
        Comparison,
        Context,
        Evaluation,
        Exported,
        Extracted,
        Painted,
        Score,
        ScoreAccumulator,
        ScoreOptions,
        Submission,
        TrainingResult,
        Translated,
        Translator,
        compare,
        default_context,
        evaluate,
        export,
        frames,
        load,
        paint,
        score,
        score_accumulator,
        submit,
        train,
        translate,
    )

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "Context",
    "Evaluation",
    "Exported",
    "Extracted",
    "Painted",
    "Score",
    "ScoreAccumulator",
    "ScoreOptions",
    "Submission",
    "TrainingResult",
    "Translated",
    "Translator",
    "__version__",
    "compare",
    "default_context",
    "evaluate",
    "export",
    "frames",
    "load",
    "paint",
    "score",
    "score_accumulator",
    "submit",
    "train",
    "translate",
]


def __getattr__(name: str) -> Any:
    """Loads the API at its first use."""
    if name in __all__:
        return getattr(importlib.import_module("monet.api"), name)
    raise AttributeError(f"module 'monet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
