"""YAML that is read without Ansible's loader has the values that Ansible reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.utils.display import Display
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.yaml_files import (
    read_plain_yaml,
    read_yaml,
)

ROLES = Path(__file__).parents[3] / "roles"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.dates() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@pytest.mark.parametrize("path", sorted(ROLES.glob("*/meta/*.yml")), ids=lambda path: str(path.relative_to(ROLES)))
def test_both_readers_agree_about_our_roles(path):
    assert read_plain_yaml(path) == read_yaml(path)


@given(VALUES)
def test_both_readers_agree_about_any_value(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "wild.yml"
    path.write_text(yaml.safe_dump({"a": value}, allow_unicode=True))
    assert read_plain_yaml(path) == read_yaml(path)


@pytest.mark.parametrize(
    "text", ["a: [", "a: !nobody x", "a: 1\n b: 2", "\ta: 1", "%YAML 1.1\n%YAML 1.1\n---\na: 1", "a: 1\n---\nb: 2"]
)
def test_ansible_explains_files_with_errors(tmp_path, text):
    path = tmp_path / "main.yml"
    path.write_text(text)
    with pytest.raises(AnsibleError, match="YAML parsing failed"):
        read_plain_yaml(path)


def test_a_missing_file_is_an_error_of_ansible(tmp_path):
    with pytest.raises(AnsibleError, match="missing"):
        read_plain_yaml(tmp_path / "missing.yml")


@pytest.mark.parametrize("text", ["", "---\n", "- a\n", "text\n", "a: !unsafe '{{ b }}'\n"])
def test_whatever_is_not_a_plain_dictionary_is_read_by_ansible(tmp_path, text):
    path = tmp_path / "main.yml"
    path.write_text(text)
    assert read_plain_yaml(path) == read_yaml(path)


def test_an_encrypted_file_is_read_by_ansible(tmp_path):
    path = tmp_path / "main.yml"
    path.write_bytes(VaultLib([("default", VaultSecret(b"password"))]).encrypt("a: 1\n"))
    with pytest.raises(AnsibleError, match=r"vault|decrypt"):  # this loader has no password
        read_plain_yaml(path)


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: {b: 1, b: 2}\n"])
def test_ansible_decides_about_keys_that_occur_twice(tmp_path, monkeypatch, text):
    path = tmp_path / "main.yml"
    path.write_text(text)
    warnings = []
    monkeypatch.setattr(Display, "warning", lambda _self, msg, **_more: warnings.append(msg))
    assert read_plain_yaml(path) == read_yaml(path)
    assert len(warnings) == 2
    assert all("duplicate mapping key" in warning for warning in warnings)


def test_merged_keys_have_the_values_that_ansible_reads(tmp_path):
    path = tmp_path / "main.yml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_plain_yaml(path) == read_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}
