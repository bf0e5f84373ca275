"""Weights & Biases: online where there are credentials, else an offline run in the run's folder."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monet.tracking.commands import command_line
from monet.tracking.login import logged_in
from monet.tracking.tracker import Ending, Reporter, RunInfo, Tracker, installed


def open_wandb(opening: RunInfo, voice: Reporter) -> Tracker:
    """Starts a run of W&B, or continues with the run's own.

    Raises:
        NoTracker: wandb is not installed.
    """
    with installed("wandb"):
        import wandb  # noqa: F401
    attempt = "import wandb; wandb.login(verify=True)"
    return _WandbTracker(opening, voice, online=logged_in(opening, voice, attempt))


class _WandbTracker:
    """A run of W&B.

    Args:
        opening: what is known of the run.
        voice: how to speak.
        online: send everything as it comes; otherwise keep it in files that can be sent later.
    """

    def __init__(self, opening: RunInfo, voice: Reporter, *, online: bool) -> None:
        import wandb

        self._voice, self._online = voice, online
        identity = opening.memory.get("run") or uuid.uuid4().hex[:8]
        self._folder = opening.folder / "wandb"
        self._offline = [str(name) for name in opening.memory.get("offline", [])]
        self._run = wandb.init(
            project="monet",
            name=opening.run,
            id=identity,
            resume="allow" if online else None,
            dir=opening.folder,
            mode="online" if online else "offline",
            config=opening.settings | {"environment": opening.facts},
            settings=wandb.Settings(console="off", disable_git=True, save_code=False),
        )
        self._step = max(opening.pairs, self._run.step)
        if self._online:
            voice.tell(str(self._run.url))
        else:
            self._offline.append(Path(self._run.dir).parent.name)
        voice.remember({"run": identity, "offline": self._offline})

    def _log(self, pairs: int, values: dict[str, Any]) -> None:
        """W&B takes no step back, as a run does that resumes from a checkpoint or paints with an earlier one."""
        self._step = max(self._step, pairs)
        self._run.log({"pairs": pairs, **values}, step=self._step)

    def scalars(self, pairs: int, values: Mapping[str, float]) -> None:
        self._log(pairs, dict(values))

    def picture(self, pairs: int, name: str, path: Path) -> None:
        import wandb

        self._log(pairs, {name: wandb.Image(str(path))})

    def model(self, pairs: int, path: Path) -> None:
        import wandb

        model = wandb.Artifact(f"{self._run.id}-checkpoint", type="model", metadata={"pairs": pairs})
        if self._online:
            lasting = path.name.startswith("epoch-")  # `last.pt` is replaced, so it must be copied before it is sent
            model.add_file(str(path), skip_cache=True, policy="immutable" if lasting else "mutable")
        else:  # by its address: the files are in the run's folder, and too large to be kept twice
            model.add_reference(path.resolve().as_uri(), checksum=False)
        self._run.log_artifact(model, aliases=[path.stem])

    def artifact(self, path: Path) -> None:
        copy = shutil.copy(path, self._run.dir)  # what lies elsewhere would only be linked to
        self._run.save(copy, base_path=self._run.dir, policy="now")

    def summary(self, values: Mapping[str, float]) -> None:
        self._run.summary.update(dict(values))

    def close(self, ending: Ending) -> None:
        self._run.finish(exit_code=0 if ending == "completed" else 1)
        if not self._offline:
            return
        folders = [(self._folder / name).relative_to(self._folder.parents[1]).as_posix() for name in self._offline]
        as_one = ["--id", self._run.id] if len(folders) > 1 else []
        self._voice.tell(
            f"offline; send it, from the run's folder, with: {command_line(['wandb', 'sync', *as_one, *folders])}"
        )
