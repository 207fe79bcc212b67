# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps what comes from a vault out of an image's settings, which everybody can read who can pull the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible._internal._datatag._tags import Origin
from ansible.errors import AnsibleError
from ansible.parsing.vault import EncryptedString, VaultHelper, is_encrypted_file

from ..errors import ChainError

#: Shorter values are found everywhere by chance.
_SHORTEST = 6

#: Ansible's views of all variables, which are looked at one by one.
_VIEWS = frozenset({"groups", "hostvars", "vars"})


def refuse(tier: str, variable: str, config: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """Make sure that image settings hold no value from a vault, whole or as part of a text.

    Args:
        tier: The tier.
        variable: Where the settings come from, for the message.
        config: The settings.
        variables: The tier's variables, templated or not.

    Raises:
        ChainError: They hold one.
    """
    settings = [(place, str(leaf)) for place, leaf in _leaves(config)]
    if not settings:
        return
    for name, value in _secrets(variables):
        for place, setting in settings:
            if value in setting:
                where = variable + place.replace(value, "***")
                raise ChainError(
                    f"tier {tier!r}: {where} holds the value of {name}, which comes from a vault; everybody who can "
                    "pull the image could read it. Give it to containers when they start, as a file or in their "
                    "environment"
                )


def _secrets(variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each value from a vault that can be decrypted."""
    for name in variables.keys() - _VIEWS:
        try:
            for place, leaf in _leaves(variables[name], name):
                if is_secret(leaf) and len(str(leaf)) >= _SHORTEST:
                    yield place, str(leaf)
        except AnsibleError:  # it cannot be decrypted or templated here, so nothing can have got it from there
            continue


def is_secret(value: object) -> bool:
    """Say whether a value comes from a vault: by itself, or with the whole file that it stands in."""
    if VaultHelper.get_ciphertext(value, with_tags=False) is not None:
        return True
    origin = Origin.get_tag(value)  # where a whole file is encrypted, its values only say which file that is
    return origin is not None and origin.path is not None and _is_vault(origin.path)


@cache
def _is_vault(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return bool(is_encrypted_file(file))
    except OSError:
        return False


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Yield place and value of each text, decrypted or not, in a value; keys of dictionaries included."""
    match value:
        case Mapping():
            for key, each in value.items():
                yield from _leaves(key, f"{place}.{key}")
                yield from _leaves(each, f"{place}.{key}")
        case list() | tuple():
            for index, each in enumerate(value):
                yield from _leaves(each, f"{place}[{index}]")
        case str() | EncryptedString():
            yield place, value
