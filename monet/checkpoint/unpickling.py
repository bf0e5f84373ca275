"""Takes the bytes of PyTorch's zip format apart, without running code, and in no more memory than they take."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import torch

from monet.checkpoint.contents import Damaged
from monet.errors import first_line, shortened


class Foreign(ValueError):
    """The file is another program's, or of another version."""


def unpickled(data: bytes) -> Any:
    """Reads what `torch.save` wrote, to the CPU.

    Raises:
        Damaged: the bytes are cut off, or not those that were written.
        Foreign: they are whole, and hold what no checkpoint holds.
    """
    _require_whole(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # PyTorch's reader raises nearly anything at what it does not know
        reason = shortened(first_line(error), 200)
        raise Foreign(f"is not one of monet's ({type(error).__name__}: {reason})") from error


def _require_whole(data: bytes) -> None:
    """Checks the members of the zip: PyTorch stores them as they are, so that they are no larger than the file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = file.infolist()
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
                    raise Damaged(f"its part {member.filename!r} is compressed or encrypted")
            if sum(member.file_size for member in members) > len(data):
                raise Damaged("its parts are larger than the file")
            if (name := file.testzip()) is not None:
                raise Damaged(f"its part {name!r} is not what was written")
    except Damaged:
        raise
    except Exception as error:  # the directory of a zip that is not one misleads its reader in many ways
        raise Damaged(f"it is torn or not a checkpoint ({len(data)} bytes)") from error
