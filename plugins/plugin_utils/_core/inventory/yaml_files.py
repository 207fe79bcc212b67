# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads YAML files of roles and inventories as Ansible does: encrypted values and places in the files included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader


def read_yaml(path: Path | str, *, templates: bool = False) -> Any:
    """Read a YAML file.

    Args:
        path: The file.
        templates: Whether Ansible may evaluate templates in it.

    Raises:
        AnsibleError: The file cannot be read, or is not valid YAML.
    """
    # `unsafe` only means that the result is not copied. The copy protects the cache of a loader that several callers
    # share, and takes longer than reading the file.
    return DataLoader().load_from_file(str(path), unsafe=True, trusted_as_template=templates)
