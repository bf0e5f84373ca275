"""Named settings. A recipe is a complete, commented YAML file beside this one; a user's own file may be partial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monet.errors import InputError, did_you_mean, shortened, shown
from monet.files import require_regular
from monet.recipes import plain_yaml

_FOLDER = Path(__file__).parent
_MOST_BYTES = 64 * 1024
"""Of a recipe; those that come with monet have 4 KiB."""


def names() -> list[str]:
    """Returns the recipes that come with monet."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def read(recipe: str) -> dict[str, Any]:
    """Reads a recipe.

    Args:
        recipe: a name from `names()`, or the path of a YAML file.

    Returns:
        The nested values as they stand in the file; not checked yet.

    Raises:
        InputError: there is no such recipe or file, or it is not a YAML mapping.
    """
    path = _FOLDER / f"{recipe}.yaml" if recipe in names() else Path(recipe)
    try:
        values = plain_yaml.parse(_read_text(path, recipe))
    except plain_yaml.NotPlain as error:
        raise InputError(f"recipe {path} cannot be used: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} holds a {type(values).__name__}: expected settings such as 'training: …'")
    return values


def _read_text(path: Path, recipe: str) -> str:
    try:
        require_regular(path)
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        choices = ", ".join(names())
        wrong = f"no recipe {shown(recipe)}: give {choices}, or a YAML file{did_you_mean(recipe, names())}"
        raise InputError(wrong) from None
    except OSError as error:
        raise InputError(f"recipe {shortened(recipe, 200)} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"recipe {path} is not UTF-8 text (at byte {error.start}): write it in UTF-8") from None
    except ValueError:  # a NUL
        raise InputError(f"no recipe {shown(recipe)}: not a valid file name") from None
    if len(data) > _MOST_BYTES:
        raise InputError(f"recipe {path} is longer than {_MOST_BYTES // 1024} KiB: expected settings and no more")
    return text
