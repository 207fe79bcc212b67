"""The task lists that every contender runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Task = dict[str, Any]

#: The variable that names a folder which is empty when a run starts.
FOLDER = "bench_folder"


def _command(number: int) -> Task:
    return {"name": f"Run command {number}", "ansible.builtin.command": "true"}


def _copy(number: int) -> Task:
    content = f"# File {number} of the bench.\n" + "".join(f"setting_{line} = {number * line}\n" for line in range(20))
    copied = {"content": content, "dest": f"{{{{ {FOLDER} }}}}/file-{number}", "mode": "0644"}
    return {"name": f"Copy file {number}", "ansible.builtin.copy": copied}


def _debug(number: int) -> Task:
    return {"name": f"Say {number}", "ansible.builtin.debug": {"msg": str(number)}}


#: Of each list the task of a number. `debug` reaches no host: it is the controller's own time.
LISTS: dict[str, Callable[[int], Task]] = {"command": _command, "copy": _copy, "debug": _debug}


def play(name: str, tasks: int) -> list[Task]:
    """A playbook of one play: so many tasks of one list, without facts."""
    return [
        {
            "name": f"Bench {name}",
            "hosts": "bench",
            "gather_facts": False,
            "tasks": [LISTS[name](number) for number in range(1, tasks + 1)],
        }
    ]
