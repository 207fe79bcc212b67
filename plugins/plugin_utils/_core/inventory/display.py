# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints lines for people, and never into standard output that another program reads."""

from __future__ import annotations

import functools
import re
from typing import Any

from ansible import constants
from ansible.utils.display import Display

from ..text import printable_lines

#: Stdout callbacks that write text for people. Other callbacks may write a document, for example JSON.
_FOR_PEOPLE = frozenset({"default", "minimal", "oneline", "debug", "dense", "selective", "unixy", "yaml"})


#: The colour sequences that Ansible writes (``ansible.utils.color``). They are harmless: they only set colours.
_COLOUR = re.compile(r"(\x1b\[(?:0|[01];3\d|38;5;\d{1,3})m)")

#: Callbacks that move the cursor on purpose.
_MOVING = frozenset({"dense"})


def guard_display() -> None:
    """Make Ansible escape all control sequences that it prints from now on, except its own colours.

    Messages and warnings of modules come from programs in an image, and Ansible prints them unchanged. Each line that
    Ansible prints passes :meth:`Display.display`, in workers as well.
    """
    ansible_display = Display()
    write = ansible_display.display
    if getattr(write, "guarded", False) or _stdout_callback().rpartition(".")[2] in _MOVING:
        return

    @functools.wraps(write)
    def display(msg: str, *args: Any, **options: Any) -> None:
        write(printable_except_colours(msg) if isinstance(msg, str) else msg, *args, **options)

    display.guarded = True  # type: ignore[attr-defined]
    ansible_display.display = display


def printable_except_colours(text: str) -> str:
    """Escape all control sequences in a text, except the colours of Ansible."""
    parts = _COLOUR.split(text)  # every second part is a colour
    return "".join(part if number % 2 else printable_lines(part) for number, part in enumerate(parts))


def say(line: str) -> None:
    """Print a line: on standard output, or on standard error if the stdout callback does not write for people."""
    Display().display(printable_lines(line), stderr=not writes_for_people())


def warn(line: str) -> None:
    """Print a warning, on standard error."""
    Display().warning(printable_lines(line))


def writes_for_people(callback: str | None = None) -> bool:
    """Check whether Ansible's standard output is text for people.

    Args:
        callback: The name of the stdout callback; ``None`` for the configured one.
    """
    return (callback or _stdout_callback()).rpartition(".")[2] in _FOR_PEOPLE


def _stdout_callback() -> str:
    return str(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK") or "default")
