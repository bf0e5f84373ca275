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


def open_wandb(info: RunInfo, reporter: Reporter) -> Tracker:
    """Starts a run of W&B, or continues with the run's own.

    Raises:
        NoTracker: wandb is not installed.
    """
    with installed("wandb"):
        import wandb  # noqa: F401
    return _WandbTracker(info, reporter, online=logged_in(info, reporter))


class _WandbTracker:
    """A run of W&B.

    Args:
        info: what is known of the run.
        reporter: tells the user.
        online: send everything as it comes; otherwise keep it in files that can be sent later.
    """

    def __init__(self, info: RunInfo, reporter: Reporter, *, online: bool) -> None:
        import wandb

        self._reporter, self._online = reporter, online
        identity = info.memory.get("run") or uuid.uuid4().hex[:8]
        self._folder = info.folder / "wandb"
        self._offline = [str(name) for name in info.memory.get("offline", [])]
        self._run = wandb.init(
            project="monet",
            name=info.run,
            id=identity,
            resume="allow" if online else None,
            dir=info.folder,
            mode="online" if online else "offline",
            config=info.settings | {"environment": info.facts},
            settings=wandb.Settings(console="off", disable_git=True, save_code=False),
        )
        self._step = max(info.pairs, self._run.step)
        if self._online:
            reporter.tell(str(self._run.url))
        else:
            self._offline.append(Path(self._run.dir).parent.name)
        reporter.remember({"run": identity, "offline": self._offline})

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
        self._reporter.tell(
            f"offline; send it, from the run's folder, with: {command_line(['wandb', 'sync', *as_one, *folders])}"
        )
