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
        Resources,
        Score,
        ScoreAccumulator,
        ScoredShards,
        ScoreOptions,
        Submission,
        TrainingResult,
        Translated,
        TranslatedShards,
        Translator,
        compare,
        default_context,
        evaluate,
        evaluate_shards,
        export,
        frames,
        load,
        paint,
        score,
        score_accumulator,
        submit,
        train,
        translate,
        translate_shards,
    )

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "Context",
    "Evaluation",
    "Exported",
    "Extracted",
    "Painted",
    "Resources",
    "Score",
    "ScoreAccumulator",
    "ScoreOptions",
    "ScoredShards",
    "Submission",
    "TrainingResult",
    "Translated",
    "TranslatedShards",
    "Translator",
    "__version__",
    "compare",
    "default_context",
    "evaluate",
    "evaluate_shards",
    "export",
    "frames",
    "load",
    "paint",
    "score",
    "score_accumulator",
    "submit",
    "train",
    "translate",
    "translate_shards",
]


def __getattr__(name: str) -> Any:
    """Loads the API at its first use."""
    if name in __all__:
        return getattr(importlib.import_module("monet.api"), name)
    raise AttributeError(f"module 'monet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
