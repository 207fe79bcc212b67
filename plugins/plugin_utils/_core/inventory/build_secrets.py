# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the secrets that a tier's tasks may use while it is built (``tier_secrets``). No message contains a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..chain.tier_variables import MIN_SECRET_LENGTH
from ..errors import ChainError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")

#: Together, the files are in the memory of the build container.
_MAX_BYTES = 1 << 20


def read_secrets(tier: str, value: Mapping[str, Any] | None) -> dict[str, str]:
    """Read the secrets of a tier's build.

    Args:
        tier: The tier, for messages.
        value: The value of ``tier_secrets``, templated.

    Returns:
        The content of each file, by its name.

    Raises:
        ChainError: With a line for each wrong name or value.
    """
    problems = list(_problems(tier, value or {}))
    if problems:
        raise ChainError("\n".join(problems))
    return {name: str(text) for name, text in (value or {}).items()}


def _problems(tier: str, secrets: Mapping[str, Any]) -> Iterator[str]:
    for name, text in secrets.items():
        where = f"tier {tier!r}: tier_secrets"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"{where} has the name {name!r}; expected the name of a file: letters, digits, '_', '-' and '.'"
        elif not isinstance(text, str):
            yield f"{where}.{name} has the type {type(text).__name__}; expected a string; put it in quotes"
        elif len(text.strip()) < MIN_SECRET_LENGTH:
            yield (
                f"{where}.{name} has fewer than {MIN_SECRET_LENGTH} characters; files of the layer contain so short a "
                "text by chance, so nothing can prove that they do not contain the secret; expected a longer one"
            )
        elif len(text.encode()) > _MAX_BYTES:
            yield f"{where}.{name} has more than {_MAX_BYTES >> 20} MiB; expected a token, a key or a small file"
