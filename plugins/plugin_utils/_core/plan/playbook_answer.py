# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a playbook of this collection for its answer, a JSON file.

Only Ansible itself can read inventories, variables and vaults.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import PlanError
from ..text import printable_lines


def ask(
    playbook: str,
    variable: str,
    arguments: Sequence[str],
    say: Callable[[str], None],
    *,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Run a playbook, and return the answer that it wrote.

    Args:
        playbook: The playbook.
        variable: The variable that names the file for the answer.
        arguments: Arguments for ansible-playbook.
        say: Called with the output of ansible-playbook if there is no answer.
        more: More variables for the run.

    Raises:
        PlanError: ansible-playbook failed, or wrote no answer.
    """
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        file = Path(folder, "answer.json")
        variables = json.dumps({**(more or {}), variable: str(file)})
        command = [sys.executable, "-m", "ansible", "playbook", playbook, "-e", variables, *arguments]
        process = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if process.returncode != 0 or not file.exists():
            say(printable_lines(process.stdout.strip()))
            raise PlanError(f"ansible-playbook {playbook} gave no answer; its output is above")
        return file.read_text()
