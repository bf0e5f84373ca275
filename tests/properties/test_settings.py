"""Settings: whatever names and values come, there is a config or an `InputError` of one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monet.config import Config, from_dict, to_dict
from monet.errors import InputError
from monet.recipes import read
from monet.settings import resolve, setting_types
from tests.properties import EXAMPLES, holds

pytest.importorskip("hypothesis")
from hypothesis import strategies as st

KNOWN = sorted(setting_types())
WORDS = (
    "null",
    "true",
    "on",
    "off",
    "all",
    "auto",
    "none",
    "fp32",
    "resnet",
    "nan",
    ".inf",
    "1e400",
    "[1, 2]",
    "{}",
    "-",
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 300),
    st.floats(),
    st.floats(0, 1),
    st.text(max_size=20),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(KNOWN),
    st.text(max_size=20),
    st.lists(st.text("abcdefgh_.", max_size=8), min_size=1, max_size=3).map(".".join),
)


def config_or_error(make: Any) -> Config | None:
    """Returns the settings, which have to come back as they are from what is saved of them; None for an error."""
    try:
        config = make()
    except InputError as error:
        assert str(error).strip()
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 1000
        return None
    assert isinstance(config, Config)
    assert from_dict(to_dict(config)) == config
    return config


@EXAMPLES
def test_any_words_of_a_command_line_are_settings_or_an_error_of_one_line(examples: int) -> None:
    def check(given: list[tuple[str, Any, bool]]) -> None:
        words: list[str] = []
        for name, value, together in given:
            words += [f"--{name}={value}"] if together else [f"--{name}", f"{value}"]
        config_or_error(lambda: resolve({}, words))

    holds(check, st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=4), examples=examples)


@EXAMPLES
def test_any_values_of_a_recipe_are_settings_or_an_error_of_one_line(examples: int) -> None:
    def check(given: list[tuple[str, Any]]) -> None:
        nested: dict[str, Any] = {}
        for name, value in given:
            group, _, field = name.partition(".")
            if field:
                fields = nested.setdefault(group, {})
                if isinstance(fields, dict):
                    fields[field] = value
            else:
                nested[group] = value
        config_or_error(lambda: resolve(nested))
        config_or_error(lambda: from_dict(nested))

    holds(check, st.lists(st.tuples(NAMES, VALUES), max_size=5), examples=examples)


@EXAMPLES
def test_any_bytes_of_a_recipe_are_settings_or_an_error_of_one_line(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "r.yaml"
    lines = st.lists(
        st.one_of(st.text(max_size=30), st.sampled_from([f"{name.replace('.', ': {')}: 1" for name in KNOWN]))
    )

    def check(data: bytes) -> None:
        path.write_bytes(data)
        config_or_error(lambda: resolve(read(str(path))))

    texts = lines.map(lambda found: "\n".join(found).encode(errors="surrogatepass"))
    holds(check, st.one_of(st.binary(max_size=300), texts), examples=examples)


def test_there_are_inputs_that_are_settings() -> None:
    """Otherwise all of the above would hold for errors alone."""
    assert config_or_error(lambda: resolve({"data": {"load_size": 300}}, ["--training.epochs", "3"])) is not None
