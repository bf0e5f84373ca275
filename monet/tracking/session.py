"""ClearML's offline sessions as files.

Every process of a run keeps a session of its own. ClearML's import makes a task of each, even where it is told of an
earlier one: of that it continues the numbers alone. So the sessions of a run are joined here, before they are imported.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monet.files import written_whole

_TASK, _LINES = "task.json", ("metrics.jsonl", "log.jsonl")


def archive_of(session: Path) -> Path:
    """Where a session is packed: beside its folder, as ClearML does."""
    return session.with_name(f"{session.name}.zip")


def pack(sessions: Sequence[Path], tell: Callable[[str], None]) -> Path:
    """Joins the sessions of a run and packs them into one archive, that of the last; all else of them is removed.

    Args:
        sessions: their folders, in their order; of each the folder or its archive is there.
        tell: is told of those that cannot be read, which stay as they are.

    Returns:
        The archive.

    Raises:
        MonetError: it cannot be written.
        OSError, ValueError, KeyError: the last one cannot be read.
    """
    *earlier, last = sessions
    members, joined = _members(last), [last]
    for session in reversed(earlier):
        try:
            members = _joined(_members(session), members)
            joined.append(session)
        except Exception as error:  # noqa: BLE001
            tell(f"{session} cannot be joined to the later ones ({type(error).__name__}: {error})")
    with written_whole(archive_of(last)) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    for session in joined:
        shutil.rmtree(session, ignore_errors=True)
        if session != last:
            archive_of(session).unlink(missing_ok=True)
    return archive_of(last)


def _members(session: Path) -> dict[str, bytes]:
    """Contents by name of the files in a session's folder, or in its archive."""
    if session.is_dir():
        paths = sorted(path for path in session.rglob("*") if path.is_file())
        return {path.relative_to(session).as_posix(): path.read_bytes() for path in paths}
    with zipfile.ZipFile(archive_of(session)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def _joined(earlier: dict[str, bytes], later: dict[str, bytes]) -> dict[str, bytes]:
    """Two sessions as if the later one had been there all along: it gives its name, which is random, and its folder."""
    first, second = (json.loads(members[_TASK]) for members in (earlier, later))
    there, here = (json.dumps(task["offline_folder"])[1:-1].encode() for task in (first, second))

    def renamed(text: bytes) -> bytes:
        return text.replace(there, here).replace(first["id"].encode(), second["id"].encode())

    joined = {name.replace(first["id"], second["id"]): content for name, content in earlier.items()} | later
    for name in _LINES:
        joined[name] = renamed(earlier.get(name, b"")) + later.get(name, b"")
    joined[_TASK] = json.dumps(_joined_tasks(json.loads(renamed(earlier[_TASK])), second)).encode()
    return joined


def _joined_tasks(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The later task with the artifacts and the models of both; an artifact of the same name is the later one."""
    joined = dict(second)
    artifacts = {
        artifact["key"]: artifact
        for task in (first, second)
        for artifact in task.get("execution", {}).get("artifacts") or []
    }
    joined["execution"] = {**second.get("execution", {}), "artifacts": list(artifacts.values())}
    models = "offline_output_models"
    joined[models] = [*(first.get(models) or []), *(second.get(models) or [])]
    return joined
