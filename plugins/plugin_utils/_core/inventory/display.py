# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines for people, where people read: never into a document that a program reads."""

from __future__ import annotations

import functools
import re
from typing import Any

from ansible import constants
from ansible.utils.display import Display

from ..text import printable_lines

#: Callbacks that write for people. What others write to standard output may be a document of their own.
_FOR_PEOPLE = frozenset({"default", "minimal", "oneline", "debug", "dense", "selective", "unixy", "yaml"})


#: The colours that Ansible itself writes (``ansible.utils.color``); no more can be said in them than red and bold.
_COLOUR = re.compile(r"(\x1b\[(?:0|[01];3\d|38;5;\d{1,3})m)")

#: Callbacks that move the cursor on purpose.
_MOVING = frozenset({"dense"})


def guard_display() -> None:
    """Let Ansible write no escape sequence from now on, but for its own colours.

    The words of a module that failed, and its warnings, are what programs of an image said; Ansible prints them as they
    are. Every line of it goes through :meth:`Display.display`, in workers too.
    """
    shown = Display()
    write = shown.display
    if getattr(write, "guarded", False) or _stdout_callback().rpartition(".")[2] in _MOVING:
        return

    @functools.wraps(write)
    def display(msg: str, *args: Any, **how: Any) -> None:
        write(coloured(msg) if isinstance(msg, str) else msg, *args, **how)

    display.guarded = True  # type: ignore[attr-defined]
    shown.display = display


def coloured(text: str) -> str:
    """Make text harmless, and keep the colours of Ansible in it."""
    parts = _COLOUR.split(text)  # every second one is a colour
    return "".join(part if number % 2 else printable_lines(part) for number, part in enumerate(parts))


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
    return (callback or _stdout_callback()).rpartition(".")[2] in _FOR_PEOPLE


def _stdout_callback() -> str:
    return str(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK") or "default")
