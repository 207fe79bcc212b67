"""The task lists that every contender runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Task = dict[str, Any]

#: The variable with a folder that is empty at the start of a run.
FOLDER = "bench_folder"


def _command(number: int) -> Task:
    return {"name": f"Run command {number}", "ansible.builtin.command": "true"}


def _copy(number: int) -> Task:
    content = f"# File {number} of the bench.\n" + "".join(f"setting_{line} = {number * line}\n" for line in range(20))
    arguments = {"content": content, "dest": f"{{{{ {FOLDER} }}}}/file-{number}", "mode": "0644"}
    return {"name": f"Copy file {number}", "ansible.builtin.copy": arguments}


def _debug(number: int) -> Task:
    return {"name": f"Say {number}", "ansible.builtin.debug": {"msg": str(number)}}


#: For each list, the function that makes a task from its number. `debug` reaches no host: it measures the controller.
LISTS: dict[str, Callable[[int], Task]] = {"command": _command, "copy": _copy, "debug": _debug}


def play(name: str, tasks: int) -> list[Task]:
    """A playbook with one play: a number of tasks of one list, without facts."""
    return [
        {
            "name": f"Bench {name}",
            "hosts": "bench",
            "gather_facts": False,
            "tasks": [LISTS[name](number) for number in range(1, tasks + 1)],
        }
    ]
