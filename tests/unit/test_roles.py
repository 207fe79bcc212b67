"""Every role is documented by its argument specification, and the specification is true."""

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


def test_the_specification_and_the_defaults_have_the_same_variables(role, options):
    assert set(options) == set(load(role / "defaults/main.yml"))


def test_defaults_are_what_the_specification_says(role, options):
    defaults = load(role / "defaults/main.yml")
    said = {name: option["default"] for name, option in options.items() if "default" in option}
    assert said == {name: defaults[name] for name in said}


def test_every_variable_is_described_and_in_the_readme(role, options):
    readme = (role / "README.md").read_text()
    for name, option in options.items():
        assert option["description"], name
        assert re.search(rf"\b{name}\b", readme), name


def test_public_names_begin_with_the_role_s_name(role, options):
    assert all(name.startswith(role.name) for name in options)


def test_nothing_but_builtin_modules_and_our_own(role):
    text = "\n".join(path.read_text() for path in role.rglob("*.yml"))
    modules = re.findall(r"^\s+(?:- )?([a-z_]+\.[a-z_]+\.[a-z_]+):", text, re.MULTILINE)
    assert modules
    assert {module.rpartition(".")[0] for module in modules} <= {"ansible.builtin", "tierwright.chain"}


def _contracts(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    all_are = any(ast.unparse(node) == "pytestmark = pytest.mark.contract" for node in tree.body)
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and (all_are or "pytest.mark.contract" in map(ast.unparse, node.decorator_list))
    ]


def test_a_contract_that_fails_says_so_in_a_sentence(role):
    """Whoever breaks it has not written it."""
    speechless = [
        f"{path.name}:{node.lineno}"
        for path in sorted(role.glob("tests/test_*.py"))
        for contract in _contracts(path)
        for node in ast.walk(contract)
        if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert speechless == []
