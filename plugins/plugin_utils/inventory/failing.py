# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: SLF001 - Ansible gives none of this other names
"""Tasks that fail in the place of others, so that a ``rescue`` finds the reason where it finds that of any task.

They inherit nothing, as ``ignore_errors`` or ``when``, from where those others stand.
"""

from __future__ import annotations

from typing import Any

from ansible.playbook.block import Block
from ansible.playbook.helpers import load_list_of_blocks
from ansible.playbook.task import Task


def failing_task(instead_of: Any, why: str, play: Any) -> Any:
    """A task that fails with the message ``why``, and that Ansible takes for another one."""
    said = _said(str(instead_of.name or instead_of.action), why)
    task = Task.load(said, block=Block(play=play), role=instead_of._role, loader=play._loader)
    task._uuid, task._origin = instead_of._uuid, instead_of._origin
    return task


def failing_blocks(included_file: Any, why: str, play: Any) -> Any:
    """Blocks to include where a file or a role cannot be."""
    include = included_file._task
    said = _said(str(include.name or included_file._filename), why)
    blocks = load_list_of_blocks(
        [said], play=play, role=include._role, variable_manager=play._variable_manager, loader=play._loader
    )
    for task in (task for block in blocks for task in block.block):
        task._origin = include._origin
    return blocks


def _said(name: str, why: str) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.fail": {"msg": why}, "tags": ["always"]}
