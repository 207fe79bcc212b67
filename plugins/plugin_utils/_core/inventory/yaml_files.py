# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads YAML files of roles and inventories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.yaml import SafeLoader
from ansible.parsing.dataloader import DataLoader


class _PlainLoader(SafeLoader):
    """Rejects keys that occur twice: Ansible's settings say whether they are an error, or whether it warns of them."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key occurs twice", node.start_mark)
        return mapping


def read_yaml(path: Path | str, *, templates: bool = False) -> Any:
    """Read a YAML file as Ansible does: with encrypted values, and the places of values in the file.

    Args:
        path: The file.
        templates: Whether Ansible may evaluate templates in it.

    Raises:
        AnsibleError: The file cannot be read, or is not valid YAML.
    """
    # `unsafe` only means that the result is not copied. The copy protects the cache of a loader that several callers
    # share, and takes longer than reading the file.
    return DataLoader().load_from_file(str(path), unsafe=True, trusted_as_template=templates)


def read_plain_yaml(path: Path | str) -> Any:
    """Read a YAML file in which Ansible evaluates nothing, for example a specification of arguments.

    This takes a third of the time of :func:`read_yaml`, because places in the file are not kept. A file that only
    Ansible can read, because it is encrypted or has tags of Ansible, is read by Ansible. So are files with errors and
    with keys that occur twice, because Ansible explains them well.

    Raises:
        AnsibleError: The file cannot be read, or is not valid YAML.
    """
    try:
        content = yaml.load(Path(path).read_bytes(), _PlainLoader)  # noqa: S506 - it is a SafeLoader
    except (OSError, ValueError, yaml.YAMLError):
        return read_yaml(path)
    return content if isinstance(content, dict) else read_yaml(path)
