"""Variants of a chain with their compatibility matrix, and the removal of a temporary chain."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import BIN, WRITE

FAIL = """
- name: Break
  ansible.builtin.fail: {msg: this variant is no good}
"""
REMOVE = """
- hosts: tiers
  gather_facts: false
  tasks:
    - tierwright.chain.chain_remove: {chain: NAME}
      run_once: true
"""

pytestmark = pytest.mark.once


def variant_arguments(small_chain, name):
    return "-e", json.dumps({"tier_variant": {"name": name, "title": name.upper(), "of": f"{small_chain.name}-of"}})


@pytest.fixture
def columns(small_chain, environment):
    def read():
        folder = Path(environment["XDG_STATE_HOME"], "tierwright", f"{small_chain.name}-of", "matrix")
        (path,) = folder.iterdir()
        document = json.loads(path.read_text())
        return {
            column["name"]: {cell["tier"]: (cell["state"], cell["message"]) for cell in column["tiers"]}
            for column in document["variants"]
        }

    return read


def test_a_run_of_a_variant_fills_a_column_of_the_matrix(small_chain, columns, environment):
    small_chain.tier("one", WRITE, parent="base").tier("two", FAIL, parent="one").tier("three", WRITE, parent="two")
    small_chain.tier("beside", WRITE, parent="base")
    result = small_chain.build(*variant_arguments(small_chain, "bad")).expect(2)
    assert f"variant BAD of chain {small_chain.name}-of: 3 of 5 tiers passed" in result.output
    small_chain.tier("two", WRITE, parent="one")
    small_chain.build(*variant_arguments(small_chain, "good")).expect()

    matrix = columns()
    assert {name: [state for state, _message in cells.values()] for name, cells in matrix.items()} == {
        "bad": ["passed", "passed", "passed", "failed", "not reached"],
        "good": ["passed"] * 5,
    }
    assert matrix["bad"]["two"][1] == "task 'Break': this variant is no good"
    assert "its parent 'two' failed" in matrix["bad"]["three"][1]

    process = subprocess.run(
        [BIN / "tierwright", "matrix", f"{small_chain.name}-of"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "GOOD" in process.stdout, process


def test_a_chain_is_removed_completely(small_chain, engine, tmp_path):
    small_chain.tier("one", WRITE, parent="base").build().expect()
    built = small_chain.image("one")
    base = engine.images.get(f"{small_chain.tiers['base']['tier_image']}:latest")

    def remove(name):
        (tmp_path / "remove.yml").write_text(REMOVE.replace("NAME", name))
        return small_chain.playbook(str(tmp_path / "remove.yml"), "-i", str(small_chain.folder / "chain.yml"))

    failed = remove("another").expect(2)
    assert f"cannot remove chain 'another': this inventory describes chain '{small_chain.name}'" in failed.message
    assert small_chain.image("one").id == built.id
    assert "changed=1" in remove(small_chain.name).expect().output
    assert not engine.images.list(filters={"label": f"io.tierwright.chain={small_chain.name}"}) or base.id in {
        image.id for image in engine.images.list(filters={"label": f"io.tierwright.chain={small_chain.name}"})
    }
    assert built.id not in {image.id for image in engine.images.list(all=True)}
