"""Environment variables with values that nobody should set, and some do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.campaign.material import PAINTED, SCORED, TINY
from tests.campaign.stage import Case, Stage

_SUBMIT = ("submit", "--data", "data", "--run", "run", *TINY, "--training.epochs", "1", "--score", "no")
_VALIDATE = ("validate", "pictures.zip", "--rules", "any")
_TORCHRUN = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "1",
    "LOCAL_WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29999",
}
Variables = Mapping[str, str | None]


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class; nothing in them is chosen at random."""
    yield from _several()
    yield from _folders()
    yield from _read_at_import()
    yield from _read_later()


def _submits(
    name: str,
    variables: Variables,
    codes: Sequence[int] = (0,),
    *,
    fresh: bool = False,
    quick: bool = False,
    limit: float = 60.0,
) -> Case:
    def play(stage: Stage) -> None:
        stage.needs("data")
        outcome = stage.run(*_SUBMIT, codes=codes, environment=variables, fresh=fresh, limit=limit)
        if outcome.code == 0:
            stage.archive("run/images.zip", PAINTED)

    return Case(f"environment/{name}", play, quick=quick)


def _several() -> Iterator[Case]:
    """Variables of torchrun that contradict each other, or of which some are not there."""
    wrong: dict[str, Variables] = {
        "WORLD_SIZE is empty": {**_TORCHRUN, "WORLD_SIZE": ""},
        "WORLD_SIZE is a word": {**_TORCHRUN, "WORLD_SIZE": "x"},
        "WORLD_SIZE is -1": {**_TORCHRUN, "WORLD_SIZE": "-1"},
        "WORLD_SIZE is 1.5": {**_TORCHRUN, "WORLD_SIZE": "1.5"},
        "WORLD_SIZE is in Arabic digits": {**_TORCHRUN, "WORLD_SIZE": "٢"},
        "WORLD_SIZE has 400 digits": {**_TORCHRUN, "WORLD_SIZE": "9" * 400},
        "RANK is a word": {**_TORCHRUN, "WORLD_SIZE": "2", "RANK": "x"},
        "RANK is empty": {**_TORCHRUN, "WORLD_SIZE": "2", "RANK": ""},
        "RANK is 5 of 2": {**_TORCHRUN, "WORLD_SIZE": "2", "RANK": "5"},
        "RANK is -1": {**_TORCHRUN, "WORLD_SIZE": "2", "RANK": "-1"},
        "LOCAL_RANK is a word": {**_TORCHRUN, "WORLD_SIZE": "2", "LOCAL_RANK": "x"},
        "LOCAL_RANK is 5 of 2": {**_TORCHRUN, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "5"},
        "LOCAL_WORLD_SIZE is 0": {**_TORCHRUN, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "0"},
        "LOCAL_WORLD_SIZE is above WORLD_SIZE": {**_TORCHRUN, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "8"},
        "MASTER_PORT is a word": {**_TORCHRUN, "WORLD_SIZE": "2", "MASTER_PORT": "x"},
        "MASTER_PORT is 70,000": {**_TORCHRUN, "WORLD_SIZE": "2", "MASTER_PORT": "70000"},
        "MASTER_ADDR is no name": {**_TORCHRUN, "WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "no such host.invalid"},
        "two processes of which one comes": {**_TORCHRUN, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
        "the second process of two, alone": {
            **_TORCHRUN,
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "RANK": "1",
            "LOCAL_RANK": "1",
        },
    }
    for name, variables in wrong.items():
        codes = (0, 1, 2) if variables["WORLD_SIZE"] in ("", "-1", "٢") else (1, 2)
        yield _submits(f"torchrun: {name}", variables, codes, quick=name in ("RANK is 5 of 2", "WORLD_SIZE is empty"))
    for variables in ({"WORLD_SIZE": "x"}, {"WORLD_SIZE": ""}, {"RANK": "x"}, {"RANK": "3", "WORLD_SIZE": "2"}):
        shown = " ".join(f"{name}={value}" for name, value in variables.items())
        yield _submits(f"torchrun: {shown} alone", variables, (0, 2))

        def validated(stage: Stage, variables: Variables = variables) -> None:
            stage.needs("pictures.zip")
            stage.run(*_VALIDATE, codes=(0, 2), environment=variables)

        yield Case(f"environment/torchrun: {shown} for another command", validated)
    yield _submits("torchrun: one process", _TORCHRUN)


def _folders() -> Iterator[Case]:
    """Folders that are not there, or none."""
    values: dict[str, Sequence[str | None]] = {
        "HOME": (None, "", "/nowhere", "relative", "/dev/null", "/proc/1/root", "x" * 5000),
        "XDG_CACHE_HOME": ("", "/nowhere/at/all", "relative", "/dev/null"),
        "TORCH_HOME": ("", "/dev/null", "relative"),
        "TMPDIR": ("/nowhere", "/dev/null", ""),
    }
    for name, given in values.items():
        for value in given:
            shown = f"{name} is {'not set' if value is None else repr(value[:20])}"
            yield _submits(shown, {name: value}, quick=(name, value) == ("HOME", None))

            def scored(stage: Stage, name: str = name, value: str | None = value) -> None:
                stage.needs("generated", "paintings", "weights.pth")
                words = ("--generated", "generated", "--reference", "paintings", *SCORED)
                stage.run("evaluate", *words, codes={0}, environment={name: value}, unprivileged=True)

            yield Case(f"environment/{shown}, scored", scored)


def _read_at_import() -> Iterator[Case]:
    """What Python and its libraries read as they are imported: in a new interpreter each."""
    right: dict[str, Variables] = {
        "MPLBACKEND is unknown": {"MPLBACKEND": "nonsense"},
        "MPLBACKEND wants a display": {"MPLBACKEND": "TkAgg", "DISPLAY": ":99"},
        "MPLBACKEND is a notebook's": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        "MPLBACKEND is empty": {"MPLBACKEND": ""},
        "MPLCONFIGDIR is no folder": {"MPLCONFIGDIR": "/dev/null"},
        "MATPLOTLIBRC is no file": {"MATPLOTLIBRC": "/nowhere"},
        "OMP_NUM_THREADS is a word": {"OMP_NUM_THREADS": "x"},
        "OMP_NUM_THREADS is 0": {"OMP_NUM_THREADS": "0"},
        "OMP_NUM_THREADS is -1": {"OMP_NUM_THREADS": "-1"},
        "OMP_NUM_THREADS is 64": {"OMP_NUM_THREADS": "64"},
        "OMP_THREAD_LIMIT is 1": {"OMP_THREAD_LIMIT": "1"},
        "MKL_NUM_THREADS is a word": {"MKL_NUM_THREADS": "x"},
        "CUDA_VISIBLE_DEVICES is a word": {"CUDA_VISIBLE_DEVICES": "x"},
        "the locale is unknown": {"LC_ALL": "xx_XX.nonsense", "LANG": "xx"},
        "the locale is C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "output is ASCII": {"PYTHONIOENCODING": "ascii"},
        "output is ASCII, strictly": {"PYTHONIOENCODING": "ascii:strict"},
        "output is UTF-16": {"PYTHONIOENCODING": "utf-16"},
        "output is Latin 1": {"PYTHONIOENCODING": "latin-1"},
        "asserts are left out": {"PYTHONOPTIMIZE": "2"},
        "development mode": {"PYTHONDEVMODE": "1"},
        "output is not buffered": {"PYTHONUNBUFFERED": "1"},
        "hashes are fixed": {"PYTHONHASHSEED": "0"},
        "PYTHONWARNINGS is nonsense": {"PYTHONWARNINGS": "nonsense"},
        "PYTHONSAFEPATH": {"PYTHONSAFEPATH": "1"},
        "TQDM_DISABLE": {"TQDM_DISABLE": "1"},
        "TQDM_MININTERVAL is a word": {"TQDM_MININTERVAL": "x"},
        "TQDM_NCOLS is a word": {"TQDM_NCOLS": "x"},
        "TORCH_LOGS is nonsense": {"TORCH_LOGS": "nonsense"},
        "TORCH_CPP_LOG_LEVEL is a word": {"TORCH_CPP_LOG_LEVEL": "x"},
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        "no path": {"PATH": "/nowhere"},
        "an empty path": {"PATH": ""},
        "almost nothing": {
            "PATH": None,
            "HOME": None,
            "LANG": None,
            "LC_ALL": None,
            "TMPDIR": None,
            "MPLCONFIGDIR": None,
        },
    }
    wrong = ("TORCH_LOGS is nonsense", "TQDM_MININTERVAL is a word", "TQDM_NCOLS is a word")
    codes = {**dict.fromkeys(wrong, (1,)), "output is UTF-16": (0, 1, 2)}
    for name, variables in right.items():
        yield _submits(name, variables, codes.get(name, (0,)), fresh=True)


def _read_later() -> Iterator[Case]:
    """What is read as a command runs."""
    right: dict[str, Variables] = {
        "COLUMNS is a word": {"COLUMNS": "x"},
        "COLUMNS is 0": {"COLUMNS": "0", "LINES": "0"},
        "COLUMNS is -5": {"COLUMNS": "-5"},
        "COLUMNS is huge": {"COLUMNS": "9" * 30},
        "TERM is unknown": {"TERM": "nonsense"},
        "TZ is nonsense": {"TZ": "Nowhere/At_All"},
        "USER is not set": {"USER": None, "LOGNAME": None},
        "a variable that is no text": {"X_\udcff": "\udcff"},
        "a large environment": {f"X_{number}": "x" * 10_000 for number in range(150)},
        "SSL_CERT_FILE is no file": {"SSL_CERT_FILE": "/nowhere", "REQUESTS_CA_BUNDLE": "/nowhere"},
    }
    for name, variables in right.items():
        yield _submits(name, variables, quick=name == "COLUMNS is a word")
    keys: dict[str, Variables] = {
        "KAGGLE_API_TOKEN is nonsense": {"KAGGLE_API_TOKEN": "x"},
        "KAGGLE_KEY without a name": {"KAGGLE_KEY": "x"},
        "Kaggle's keys are wrong": {"KAGGLE_USERNAME": "x", "KAGGLE_KEY": "y"},
        "KAGGLE_CONFIG_DIR is no folder": {"KAGGLE_CONFIG_DIR": "/dev/null"},
        "KAGGLEHUB_CACHE is no folder": {"KAGGLEHUB_CACHE": "/dev/null", "KAGGLE_USERNAME": "x", "KAGGLE_KEY": "y"},
        "a proxy that is no address": {"https_proxy": "::::", "KAGGLE_USERNAME": "x", "KAGGLE_KEY": "y"},
        "WANDB_MODE is nonsense": {"WANDB_MODE": "x", "NETRC": "/dev/null"},
        "NETRC is a folder": {"NETRC": "/"},
        "CLEARML_CONFIG_FILE is a folder": {"CLEARML_CONFIG_FILE": "/"},
    }
    for name, variables in keys.items():

        def asked(stage: Stage, variables: Variables = variables) -> None:
            stage.run(
                "train",
                "--data",
                "auto",
                "--run",
                "run",
                *TINY,
                "--training.epochs",
                "1",
                codes={2},
                environment=variables,
            )
            stage.run("doctor", codes=(0, 1), environment=variables)

        yield Case(f"environment/{name}", asked)
    rights: dict[str, Callable[[Stage], Variables]] = {
        "kaggle.json is nonsense": lambda stage: _written(stage, ".kaggle/kaggle.json", "nonsense"),
        "kaggle.json is a list": lambda stage: _written(stage, ".kaggle/kaggle.json", "[]"),
        "clearml.conf is nonsense": lambda stage: _written(stage, "clearml.conf", "{{{"),
        ".netrc is nonsense": lambda stage: _written(stage, ".netrc", "machine\n"),
    }
    for name, prepare in rights.items():

        def read(stage: Stage, prepare: Callable[[Stage], Variables] = prepare) -> None:
            prepare(stage)
            stage.run("doctor", codes=(0, 1))
            stage.run("train", "--data", "auto", "--run", "run", *TINY, "--training.epochs", "1", codes={2})

        yield Case(f"environment/{name}", read)


def _written(stage: Stage, name: str, text: str) -> Variables:
    path = stage.home / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return {}
