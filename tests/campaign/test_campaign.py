"""A part of the campaign: a few cases of each class. `python -m tests.campaign` runs them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.__main__ import merged_lines
from tests.campaign.cases import CLASSES, all_cases
from tests.campaign.launch import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, signals and limits are POSIX")

QUICK = [case.name for case in all_cases() if case.quick]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of the cases that are asked for. They fork from a process that has computed nothing, as this has."""
    asked = [name for item in request.session.items if (name := _case_of(item))]
    file = tmp_path_factory.mktemp("campaign") / "results.json"
    words = [sys.executable, "-m", "tests.campaign", "--json", str(file), "--only", *asked]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode in (0, 1), ended.stderr
    found = [json.loads(line) for line in file.read_text().splitlines()]
    return {result["name"]: result for result in found}


def _case_of(item: pytest.Item) -> str | None:
    """The name of the case that a test is about, if it is one of those here."""
    called = getattr(item, "callspec", None)
    return called.params.get("name") if called and item.path == Path(__file__) else None


@pytest.mark.parametrize("name", QUICK)
def test_a_hostile_case_ends_as_the_contract_says(name: str, results: dict[str, dict[str, Any]]) -> None:
    result = results[name]
    assert result["flags"] == [], f"{result['commands']}\n{result['output']}"


def test_the_campaign_has_five_hundred_cases_of_all_classes() -> None:
    cases = all_cases()
    assert len(cases) > 500
    assert len({case.name for case in cases}) == len(cases)
    assert len({case.group for case in cases}) == len(CLASSES)
    assert {case.group for case in cases if case.quick} == {case.group for case in cases}


def test_no_process_waits_until_the_one_before_it_is_read() -> None:
    (first, silent), (second, speaking) = os.pipe(), os.pipe()
    os.write(speaking, b"done\n")
    lines = merged_lines([first, second])
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(next, lines)
        try:
            assert told.result(30) == "done\n"
        finally:
            os.close(silent)
            os.close(speaking)
    assert list(lines) == []


def test_another_seed_gives_other_cases() -> None:
    names = [{case.name for case in all_cases(seed)} for seed in (0, 1)]
    assert names[0] != names[1]
