from __future__ import annotations

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest

import monet.clock
from monet.clock import DEFAULT_POLICY, Policy, Reserve

CLOCK = sorted(Path(monet.clock.__file__).parent.glob("*.py"))
WITHOUT_NUMBERS = [path for path in CLOCK if path.stem not in ("policy", "duration")]
"""`duration` has the seconds of an hour and of a minute."""


def test_a_policy_cannot_be_changed_while_it_is_used() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_POLICY.slack_seconds = 0.0  # type: ignore[misc]


def test_another_policy_changes_the_reserve() -> None:
    policy = Policy(slack_seconds=0.0, slack_work_share=0.25, slack_budget_share=0.0)
    assert Reserve(lambda: 100.0, 1000.0, policy).seconds() == pytest.approx(125)


def test_every_number_of_the_policy_has_a_docstring() -> None:
    (definition,) = ast.parse(inspect.getsource(Policy)).body
    assert isinstance(definition, ast.ClassDef)
    fields = [place for place, node in enumerate(definition.body) if isinstance(node, ast.AnnAssign)]
    assert len(fields) == len(dataclasses.fields(Policy))
    for place in fields:
        below = definition.body[place + 1]
        assert isinstance(below, ast.Expr), ast.unparse(definition.body[place])
        assert isinstance(below.value, ast.Constant)
        assert isinstance(below.value.value, str)


@pytest.mark.parametrize("path", WITHOUT_NUMBERS, ids=lambda path: path.stem)
def test_a_number_of_the_clock_is_0_1_or_2_or_in_the_policy(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            assert node.value in (0, 1, 2), f"line {node.lineno}"
