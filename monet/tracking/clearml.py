"""ClearML: online where there are credentials and the server answers, else an offline session in the run's folder."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monet.tracking.commands import command_line
from monet.tracking.tracker import Ending, NoTracker, Opening, Tracker, Voice

_CONNECT = 5.0
"""Seconds in which the server must take a connection."""


def open_clearml(opening: Opening, voice: Voice) -> Tracker:
    """Starts a task, or goes on with the run's own.

    Raises:
        NoTracker: ClearML is not installed.
    """
    try:
        import clearml  # noqa: F401
    except ImportError:
        raise NoTracker("is not installed: pip install clearml; the run goes on without it") from None
    server = _unreachable_server() if opening.online else None
    if server:
        voice.tell(f"{server} does not answer: tracking offline")
    return _ClearMLTracker(opening, voice, online=opening.online and server is None)


class _ClearMLTracker:
    """A task of ClearML.

    Args:
        opening: what is known of the run.
        voice: how to speak.
        online: send everything as it comes; otherwise keep it in a session that can be imported later.
    """

    def __init__(self, opening: Opening, voice: Voice, *, online: bool) -> None:
        from clearml import Task
        from clearml.config import config_obj
        from clearml.config.defs import CLEARML_CACHE_DIR

        # This is a process of its own already; with another one behind it ClearML takes 11 s to close.
        config_obj.set_overrides({"sdk": {"development": {"report_use_subprocess": False}}})
        self._voice, self._online = voice, online
        self._task_id: str | None = opening.memory.get("task")
        self._folder = opening.folder / "clearml"
        self._sessions = [self._folder / name for name in opening.memory.get("sessions", [])]
        if online:
            self._import_sessions()
        else:
            CLEARML_CACHE_DIR.set(str(self._folder.resolve()))
            Task.set_offline(True)
        self._task = _started_task(opening.run, self._task_id if online else None)
        self._task.set_initial_iteration(0)  # points are counted over the whole run
        if online:
            self._task_id = self._task.id
            if not self._task.output_uri:  # unless a project or clearml.conf names another place
                self._task.output_uri = True
            voice.tell(str(self._task.get_output_log_web_page()))
        else:
            self._sessions.append(self._folder / self._session().relative_to(self._folder.resolve()))
        self._remember()
        self._task.connect(_flat(opening.settings), name="settings")
        self._task.connect_configuration(opening.settings, name="config")
        self._task.connect_configuration(opening.facts, name="environment")
        self._logger: Any = self._task.get_logger()

    def scalars(self, pairs: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            group, _, series = name.rpartition("/")
            self._logger.report_scalar(group or series, series, value, pairs)

    def picture(self, pairs: int, name: str, path: Path) -> None:
        self._logger.report_image(name, path.stem, pairs, local_path=str(path), delete_after_upload=False)

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
        session = self._session()
        self._task.close()
        if session.with_suffix(".zip").exists():
            shutil.rmtree(session, ignore_errors=True)
            self._sessions[-1] = self._sessions[-1].with_suffix(".zip")
            self._remember()
        self._voice.tell(f"offline; import it with: {import_command(self._sessions, self._task_id)}")

    def _session(self) -> Path:
        """The folder of the offline session. The library's `close` packs it into an archive beside it."""
        return Path(self._task.get_offline_mode_folder())

    def _import_sessions(self) -> None:
        """Brings what earlier processes of the run kept to the server, so that this one goes on in the same task."""
        from clearml import Task

        while self._sessions:
            session = self._sessions.pop(0)
            try:
                self._task_id = Task.import_offline_session(str(session), previous_task_id=self._task_id)
            except Exception as error:
                self._voice.tell(f"{session} cannot be imported ({error}): the task begins without it")
            self._remember()

    def _remember(self) -> None:
        names = [session.relative_to(self._folder).as_posix() for session in self._sessions]
        self._voice.remember({"task": self._task_id, "sessions": names})


def import_command(sessions: list[Path], task: str | None) -> str:
    """The command that brings offline sessions to the server, as one task.

    Args:
        sessions: of the run's processes, in their order.
        task: the one they belong to, if it is on the server.
    """
    first, *others = [f"Task.import_offline_session({json.dumps(str(path))}" for path in sessions]
    lines = ["from clearml import Task"]
    if task is None and not others:
        lines.append(f"{first})")
    else:
        lines.append(f"task = {first})" if task is None else f"task = {first}, previous_task_id={json.dumps(task)})")
        lines += [f"{other}, previous_task_id=task)" for other in others]
    return command_line(["python", "-c", "; ".join(lines)])


_FRAMEWORKS = (
    *("artifacts", "catboost", "detect_repository", "fastai", "gradio", "hydra", "joblib", "jsonargparse", "lightgbm"),
    *("matplotlib", "megengine", "pytorch", "scikit", "tensorboard", "tensorflow", "tfdefines", "xgboost"),
)
"""What ClearML would otherwise change to hear of it."""


def _started_task(name: str, task_id: str | None) -> Any:
    """A new task, or an earlier one that goes on. ClearML changes nothing else in this process to hear of it."""
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


def _unreachable_server() -> str | None:
    """The API server that is configured, if nothing there takes a connection."""
    from clearml.backend_api import Session

    server = str(Session.get_api_server_host())
    address = urlsplit(server)
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname or "", port), _CONNECT).close()
    except (OSError, ValueError):
        return server
    return None


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat
