# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines for people, where people read: never into a document that a program reads."""

from __future__ import annotations

from ansible import constants
from ansible.utils.display import Display

from ..foreign import printable_lines

#: Callbacks that write for people. What others write to standard output may be a document of their own.
_FOR_PEOPLE = frozenset({"default", "minimal", "oneline", "debug", "dense", "selective", "unixy", "yaml"})


def say(line: str) -> None:
    """Print a line: beside what Ansible writes, or on standard error where that is a program's to read."""
    Display().display(printable_lines(line), stderr=not writes_for_people())


def warn(line: str) -> None:
    """Print a warning, on standard error."""
    Display().warning(printable_lines(line))


def writes_for_people(callback: str | None = None) -> bool:
    """Say whether Ansible's standard output is text for people.

    Args:
        callback: The callback that writes it; ``None`` for the one that is configured.
    """
    name = str(callback or constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK") or "default")
    return name.rpartition(".")[2] in _FOR_PEOPLE
