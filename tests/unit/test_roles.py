"""Every role has an argument specification that agrees with its defaults and its README."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROLES = sorted((Path(__file__).parents[2] / "roles").iterdir())


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text()) or {}


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request) -> Path:
    return request.param


@pytest.fixture
def options(role) -> dict:
    return load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def test_specification_and_defaults_have_the_same_variables(role, options):
    assert set(options) == set(load(role / "defaults/main.yml"))


def test_defaults_match_the_specification(role, options):
    defaults = load(role / "defaults/main.yml")
    specified = {name: option["default"] for name, option in options.items() if "default" in option}
    assert specified == {name: defaults[name] for name in specified}


def test_every_variable_is_described_and_in_the_readme(role, options):
    readme = (role / "README.md").read_text()
    for name, option in options.items():
        assert option["description"], name
        assert re.search(rf"\b{name}\b", readme), name


def test_variables_begin_with_the_name_of_the_role(role, options):
    assert all(name.startswith(role.name) for name in options)


def test_roles_use_only_builtin_modules_and_their_own_collection(role):
    text = "\n".join(path.read_text() for path in role.rglob("*.yml"))
    modules = re.findall(r"^\s+(?:- )?([a-z_]+\.[a-z_]+\.[a-z_]+):", text, re.MULTILINE)
    assert modules
    assert {module.rpartition(".")[0] for module in modules} <= {"ansible.builtin", "tierwright.chain"}


def _contracts(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    whole_file = any(ast.unparse(node) == "pytestmark = pytest.mark.contract" for node in tree.body)
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and (whole_file or "pytest.mark.contract" in map(ast.unparse, node.decorator_list))
    ]


def test_every_assertion_of_a_contract_has_a_message(role):
    """A contract usually fails for somebody who has not written it."""
    without_message = [
        f"{path.name}:{node.lineno}"
        for path in sorted(role.glob("tests/test_*.py"))
        for contract in _contracts(path)
        for node in ast.walk(contract)
        if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert without_message == []
