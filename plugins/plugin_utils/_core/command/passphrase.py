# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a passphrase: from a file, from a descriptor, or from the terminal, without showing it.

There is no option for the passphrase itself, and no environment variable: other processes can read both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from ..errors import UsageError, describe_error

_LARGEST = 4096

passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    help="A file with the passphrase or PIN; /dev/fd/N is a descriptor. By default, the terminal is asked.",
)


def new_passphrase(file: str | None, title: str) -> str:
    """Read the passphrase for a new key. On the terminal, it is asked for twice.

    Raises:
        UsageError: There is no passphrase.
    """
    return _ask(title, confirm=True) if file is None else _read(file)


def passphrase_source(file: str | None) -> str | Callable[[str], str]:
    """Return the passphrase in a file, or the function that asks for one, if it is needed.

    Raises:
        UsageError: The file has no passphrase.
    """
    return partial(_ask, confirm=False) if file is None else _read(file)


def _read(file: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_LARGEST + 1)
        text = content.decode()
    except (OSError, ValueError) as error:
        raise UsageError(f"--passphrase-file {file} cannot be read: {describe_error(error)}") from None
    line = text.removesuffix("\n").removesuffix("\r")
    if not line or "\n" in line or len(content) > _LARGEST:
        raise UsageError(
            f"--passphrase-file {file} has {len(text.splitlines())} lines and {len(content)} bytes; expected one line "
            "with the passphrase"
        )
    return line


def _ask(title: str, *, confirm: bool) -> str:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise UsageError(f"{title} needs a passphrase, and there is no terminal; use --passphrase-file") from None
    prompt = f"New passphrase for {title}" if confirm else f"Passphrase for {title}"
    answer: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return answer
