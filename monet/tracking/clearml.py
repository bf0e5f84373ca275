"""ClearML: online where there are credentials and the server answers, else an offline session in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monet.config import flat
from monet.tracking.commands import command_line
from monet.tracking.login import logged_in
from monet.tracking.session import pack
from monet.tracking.tracker import Ending, Reporter, RunInfo, Tracker, installed


def open_clearml(info: RunInfo, reporter: Reporter) -> Tracker:
    """Starts a task, or continues with the run's own.

    Raises:
        NoTracker: ClearML is not installed.
    """
    with installed("clearml"):
        import clearml  # noqa: F401
    return _ClearMLTracker(info, reporter, online=logged_in(info, reporter))


class _ClearMLTracker:
    """A task of ClearML.

    Args:
        info: what is known of the run.
        reporter: tells the user.
        online: send everything as it comes; otherwise keep it in a session that can be imported later.
    """

    def __init__(self, info: RunInfo, reporter: Reporter, *, online: bool) -> None:
        from clearml import Task
        from clearml.config import config_obj
        from clearml.config.defs import CLEARML_CACHE_DIR

        # This is a process of its own already; with another one behind it ClearML takes 11 s to close.
        config_obj.set_overrides({"sdk": {"development": {"report_use_subprocess": False}}})
        self._reporter, self._online = reporter, online
        self._task_id: str | None = info.memory.get("task")
        self._folder = info.folder / "clearml"
        self._sessions = [self._folder / "offline" / name for name in info.memory.get("sessions", [])]
        if online:
            self._import_sessions()
        else:
            CLEARML_CACHE_DIR.set(str(self._folder.resolve()))
            Task.set_offline(True)
        self._task = _started_task(info.run, self._task_id if online else None)
        self._task.set_initial_iteration(0)  # points are counted over the whole run
        if online:
            self._task_id = self._task.id
            if not self._task.output_uri:  # unless a project or clearml.conf names another place
                self._task.output_uri = True
            reporter.tell(str(self._task.get_output_log_web_page()))
        else:
            self._sessions.append(self._folder / "offline" / Path(self._task.get_offline_mode_folder()).name)
        self._remember()
        self._task.connect(flat(info.settings), name="settings")
        self._task.connect_configuration(info.settings, name="config")
        self._task.connect_configuration(info.facts, name="environment")
        self._logger: Any = self._task.get_logger()

    def scalars(self, pairs: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            group, _, series = name.rpartition("/")
            self._logger.report_scalar(group or series, series, value, pairs)

    def picture(self, pairs: int, name: str, path: Path) -> None:
        series = path.stem if path.stem != name else f"{name}-{pairs}"  # of one name it keeps the last five alone
        self._logger.report_image(name, series, pairs, local_path=str(path), delete_after_upload=False)

    def model(self, pairs: int, path: Path) -> None:
        from clearml import OutputModel

        if self._online:
            model = OutputModel(task=self._task, name=path.name, framework="PyTorch")
            model.update_weights(str(path), iteration=pairs, auto_delete_file=False, async_enable=False)
            return

        class Offline(OutputModel):
            published = False  # the library's own looks for it on a server

        # By its address: a copy of every checkpoint would swell the session, and could not be imported elsewhere.
        model = Offline(task=self._task, name=path.name, framework="PyTorch")
        model.update_weights(register_uri=path.resolve().as_uri(), iteration=pairs)

    def artifact(self, path: Path) -> None:
        self._task.upload_artifact(path.name, artifact_object=path.resolve(), wait_on_upload=True)

    def summary(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._logger.report_single_value(name, value)

    def close(self, ending: Ending) -> None:
        if self._online:
            self._task.close()
            if ending != "completed":  # as `close` takes every run to be
                mark = self._task.mark_stopped if ending == "stopped" else self._task.mark_failed
                mark(force=True)
            return
        self._task.close()
        archive = pack(self._sessions, self._reporter.tell)
        self._sessions = self._sessions[-1:]
        self._remember()
        self._tell_command(archive)

    def _import_sessions(self) -> None:
        """Brings what earlier processes of the run kept to the server, so that this one continues in the same task."""
        from clearml import Task

        if not self._sessions:
            return
        try:
            archive = pack(self._sessions, self._reporter.tell)
            self._sessions = self._sessions[-1:]
            self._task_id = Task.import_offline_session(str(archive), previous_task_id=self._task_id)
            self._sessions = []
        except Exception as error:  # noqa: BLE001
            names = ", ".join(session.name for session in self._sessions)
            self._reporter.tell(f"{names}, kept offline, cannot be imported ({error}): the task begins without it")

    def _tell_command(self, archive: Path) -> None:
        path = archive.relative_to(self._folder.parents[1])
        command = import_command(path, self._task_id)
        self._reporter.tell(f"offline; import it, from the run's folder, with: {command}")

    def _remember(self) -> None:
        self._reporter.remember({"task": self._task_id, "sessions": [session.name for session in self._sessions]})


def import_command(archive: Path, task: str | None) -> str:
    """The command that brings an offline session to the server.

    Args:
        archive: of the session.
        task: the one it belongs to, if it is on the server.
    """
    words = json.dumps(archive.as_posix()) + (f", previous_task_id={json.dumps(task)}" if task else "")
    return command_line(["python", "-c", f"from clearml import Task; Task.import_offline_session({words})"])


_FRAMEWORKS = (
    *("artifacts", "catboost", "detect_repository", "fastai", "gradio", "hydra", "joblib", "lightgbm"),
    *("matplotlib", "megengine", "pytorch", "scikit", "tensorboard", "tensorflow", "tfdefines", "xgboost"),
)
"""Libraries that ClearML would otherwise patch."""


def _started_task(name: str, task_id: str | None) -> Any:
    """A new task, or an earlier one that continues. ClearML changes nothing else in this process to hear of it."""
    from clearml import Task

    return Task.init(
        project_name="monet",
        task_name=name,
        reuse_last_task_id=False,
        continue_last_task=task_id or False,
        auto_connect_arg_parser=False,
        auto_connect_frameworks=dict.fromkeys(_FRAMEWORKS, False),
        auto_connect_streams=False,
        auto_resource_monitoring=False,
    )
