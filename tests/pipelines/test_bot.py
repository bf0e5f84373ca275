"""`bot`: what is said of options, of the token and of missing libraries, before Telegram is asked anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.conftest import command
from tests.serving.bot.surroundings import logs_restored

TOKEN = "123456:AAbb-cc_dd0123456789012345678901234"
HALF = TOKEN.partition(":")[2]
SERVER = "give one such as http://127.0.0.1:8081"
HOOK = "give one such as https://example.org/bot"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No token from outside, and the logs afterwards as they were."""
    monkeypatch.delenv("BOT_TOKEN", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with logs_restored():
        yield


def refused(capsys: pytest.CaptureFixture[str], *words: object, code: int = 2) -> str:
    """Gives a wrong command; returns the one line that it says."""
    assert command("bot", *words) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert HALF not in shown.err
    return shown.err.removeprefix("error: ").strip()


def test_without_a_token_both_places_for_it_and_who_gives_it_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--checkpoint", "c") == (
        "no token: set BOT_TOKEN in the environment, or give --token-file; @BotFather in Telegram makes a bot and "
        "gives its token, with /newbot"
    )


@pytest.mark.parametrize("wrong", ["abc", TOKEN[:20], f"bot{TOKEN}", f"{TOKEN} {TOKEN}"])
def test_what_is_no_token_is_not_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    (tmp_path / "token").write_text(wrong)
    said = refused(capsys, "--checkpoint", "c", "--token-file", tmp_path / "token")
    assert said.startswith(f"{tmp_path / 'token'} holds no token of a bot")
    monkeypatch.setenv("BOT_TOKEN", wrong)
    said = refused(capsys, "--checkpoint", "c")
    assert said.startswith("BOT_TOKEN holds no token of a bot")
    assert wrong not in said


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
def test_a_token_on_the_command_line_is_refused_and_not_shown(
    capsys: pytest.CaptureFixture[str], debug: tuple[str, ...]
) -> None:
    assert command("bot", "--token", TOKEN, *debug) == 2
    err = capsys.readouterr().err
    assert err.endswith(
        "error: unrecognized arguments: --token <token>; python -m pipelines.bot --help shows the options\n"
    )
    assert HALF not in err


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "it is empty"), (b"\n", "it is empty"), (b"1" * 5000, "it is too large")]
)
def test_a_token_file_that_holds_none_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "token").write_bytes(content)
    line = refused(capsys, "--checkpoint", "c", "--token-file", tmp_path / "token")
    assert line == f"{tmp_path / 'token'} holds no secret: {said}"


def test_a_token_file_that_cannot_be_read_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, pipe: Path
) -> None:
    missing = tmp_path / "none"
    said = refused(capsys, "--checkpoint", "c", "--token-file", missing)
    assert said == f"{missing} cannot be read: No such file or directory"
    assert refused(capsys, "--checkpoint", "c", "--token-file", pipe).startswith(
        f"{pipe} cannot be read: it is a named"
    )


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_TOKEN", TOKEN)


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--per-hour", "0"], "--per-hour is 0: give at least 1"),
        (["--waiting", "-1"], "--waiting is -1: give at least 1"),
        (["--max-mb", "0"], "--max-mb is 0: give more than 0"),
        (["--api-server", "telegram"], f"the address of the Bot API server is 'telegram': {SERVER}"),
        (["--api-server", "http://[::1"], f"the address of the Bot API server is 'http://[::1': {SERVER}"),
        (["--webhook", "https://h:999999/"], f"the address of the webhook is 'https://h:999999/': {HOOK}"),
        (["--webhook", "https://h/", "--webhook-port", "0"], "the webhook's port is 0: give 1 to 65535"),
        ([], "no model to offer: give --checkpoint FILE, or --run DIR"),
        (["--checkpoint", "none.pt"], "model none.pt cannot be read: No such file or directory"),
    ],
)
def test_options_that_make_no_sense_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert refused(capsys, *words) == said


@pytest.mark.usefixtures("token")
def test_a_secret_with_other_characters_is_refused_and_not_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("not for telegram!")
    said = refused(capsys, "--webhook", "https://h/", "--webhook-secret-file", tmp_path / "secret")
    assert said == "the webhook's secret has other characters than A-Z, a-z, 0-9, _ and -, or more than 256"


@pytest.mark.usefixtures("token")
def test_without_aiogram_the_command_that_installs_it_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("monet.serving.bot.")]:
        if name != "monet.serving.bot.secrets":
            monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiogram"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiogram", None)
    said = refused(capsys, "--checkpoint", "c", code=1)
    assert said.startswith("the bot needs aiogram (import of aiogram halted")
    assert said.endswith("): pip install 'aiogram>=3.31'")


@pytest.mark.parametrize("option", ["--token-file", "--webhook-secret-file"])
@pytest.mark.parametrize("name", [TOKEN, f"folder/{TOKEN}"])
def test_a_token_where_a_files_name_belongs_is_not_shown(
    capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    said = refused(capsys, "--checkpoint", "last.pt", option, name)
    assert said.endswith("<token> cannot be read: No such file or directory")
