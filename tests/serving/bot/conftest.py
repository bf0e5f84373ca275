"""A bot in a process of its own, and the server that it talks to."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import monet
from monet.checkpoint import model
from monet.config import ModelConfig, to_dict
from monet.models import Direction
from tests.generators import generators_of
from tests.pipelines.conftest import AS_IN_A_TERMINAL, ROOT
from tests.serving.bot.server import PATIENCE, Person, TelegramServer

TOKEN = "424242:AA-a_token_that_nobody_may_ever_read_01"
SECRET_HALF = TOKEN.partition(":")[2]

FIXED = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def _log_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """What monet logs reaches `caplog`, also after a test that ran a command in this process."""
    monkeypatch.setattr(logging.getLogger("monet"), "propagate", True)


class Bot:
    """A bot that runs, and all that it wrote."""

    def __init__(self, folder: Path, *words: object, token: str | None = TOKEN, variable: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        if token is not None:
            (folder / "token").write_text(f"{token}\n")
            words = ("--token-file", folder / "token", *words)
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        environment = {name: value for name, value in os.environ.items() if name != "BOT_TOKEN"}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(folder)}
        environment["TMPDIR"] = str(self.temporary)
        if variable is not None:
            environment["BOT_TOKEN"] = variable
        self._files = [(folder / name).open("wb") for name in ("stdout", "stderr")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.bot", *map(str, words)],
            cwd=folder,
            env=environment,
            stdout=self._files[0],
            stderr=self._files[1],
            preexec_fn=AS_IN_A_TERMINAL,
        )

    @property
    def out(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "stderr").read_text()

    def ends(self, code: int) -> str:
        """Waits for its end; returns its stderr."""
        found = self.process.wait(PATIENCE)
        for file in self._files:
            file.close()
        assert found == code, self.err
        return self.err


def write_model(path: Path, change: float, *directions: Direction) -> Path:
    """Writes a model that has learned these directions."""
    generators = generators_of(ModelConfig(width=4, residual_blocks=1), change=change)
    contents = {
        "config": to_dict(generators.config),
        "learned": dict(vars(generators.learned)),
        "generators": {direction: generators.by_direction[direction].state_dict() for direction in directions},
    }
    model.save(path, contents)
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of both directions."""
    return write_model(tmp_path_factory.mktemp("models") / "painter.safetensors", 4.0, "ab", "ba")


@pytest.fixture(scope="session")
def one_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, which has learned photo to painting alone."""
    return write_model(tmp_path_factory.mktemp("models") / "sketch.safetensors", 3.0, "ab")


@pytest.fixture(scope="session")
def server() -> Iterator[TelegramServer]:
    server = TelegramServer(TOKEN)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server() -> Iterator[TelegramServer]:
    """A server that no other test has to do with."""
    server = TelegramServer(TOKEN)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "choices.json"


@pytest.fixture(scope="session")
def bot(
    server: TelegramServer, checkpoint: Path, one_way: Path, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bot]:
    """One that offers two models, logs all it can, and is stopped by Ctrl-C at the end."""
    folder = tmp_path_factory.mktemp("bot")
    words = ("--checkpoint", checkpoint, "--checkpoint", one_way, "--state", state, "--api-server", server.url)
    limits = ("--per-hour", "500", "--waiting", "3", "--max-mb", "1", "--max-megapixels", "0.5", "--max-seconds", "4")
    bot = Bot(folder, *words, *limits, "--health-file", folder / "healthy", "--debug", *FIXED)
    server.wait(lambda call: call.method == "getUpdates")
    yield bot
    assert bot.process.poll() is None, bot.err
    bot.process.terminate()
    bot.ends(143)


_IDS = itertools.count(1)


@pytest.fixture
def person(server: TelegramServer, bot: Bot) -> Callable[..., Person]:
    """Makes people whom the bot has not met."""

    def make(language: str | None = "en", chat_type: str = "private") -> Person:
        return Person(server, next(_IDS), language, chat_type)

    return make


@pytest.fixture
def ann(person: Callable[..., Person]) -> Person:
    return person()


@pytest.fixture
def translated(checkpoint: Path, tmp_path: Path) -> Callable[..., bytes]:
    """What `translate` makes of a file."""

    def translate(content: bytes, name: str, **options: object) -> bytes:
        folder = tmp_path / f"translate-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / name).write_bytes(content)
        chosen = {"checkpoint": checkpoint, "device": "cpu", "precision": "fp32", **options}
        monet.translate(input=folder / name, output=folder / "out", **chosen)  # type: ignore[arg-type]
        (written,) = [path for path in (folder / "out").iterdir() if not path.name.startswith(".")]
        return written.read_bytes()

    return translate
