# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of verbs that sign, and the signer that they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .passphrase import passphrase_option, passphrase_source

if TYPE_CHECKING:
    from ..signing.envelope import Signer


def signer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--key``, ``--public-key`` and ``--passphrase-file``.

    Their arguments are ``key``, ``public_key`` and ``passphrase_file``, as :func:`open_chosen_signer` takes them.
    """
    for option in (
        passphrase_option,
        click.option("--public-key", metavar="FILE", help="The public key; tokens and key services need it."),
        click.option(
            "--key",
            required=True,
            help="The private key: a file, env:NAME, hsm:…, awskms:…, azurekms:…, gcpkms:… or hv:…",
        ),
    ):
        command = option(command)
    return command


def open_chosen_signer(key: str, public_key: str | None, passphrase_file: str | None) -> Signer:
    """Open the signer that the options name. A passphrase is asked for only if the key needs one.

    Raises:
        UsageError: A passphrase is needed, and there is none.
        TrustError: The key cannot be opened.
    """
    from ..signing.signers import open_signer  # noqa: PLC0415 - `tierwright --help` imports all verbs

    return open_signer(key, passphrase_source(passphrase_file), folder=Path(), public_key=public_key, title="--key")
