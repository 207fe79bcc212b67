# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which values come from a vault.

Keeps what comes from a vault out of an image's settings, which everybody can read who can pull the image.

Which of a host's variables hold secrets, also where a template has put one into another text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
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


#: A secret that is shorter is found only where it is the whole value: every other text holds an ``a``.
_SHORT = 4


_WORD = re.compile(r"\w+")


class Secrets:
    """The secrets of one host."""

    def __init__(self, raw: Mapping[str, Any], hidden: Collection[str]) -> None:
        """Find them.

        Args:
            raw: The host's variables, untemplated.
            hidden: Names of variables that the role says must not be shown (``no_log``).
        """
        vaulted = {name: [leaf for leaf in leaves(value) if is_secret(leaf)] for name, value in raw.items()}
        self._texts = frozenset(text for each in vaulted.values() for leaf in each if (text := _plaintext(leaf)))
        self._names = _closure({*hidden, *(name for name, each in vaulted.items() if each)}, raw)

    def hold(self, name: str, value: object) -> bool:
        """Say whether a variable's templated value is, or has in it, a secret."""
        return name in self._names or any(is_secret(leaf) or self._has_secret(leaf) for leaf in leaves(value))

    def _has_secret(self, leaf: object) -> bool:
        if not self._texts:
            return False
        text = str(leaf)
        return text in self._texts or any(each in text for each in self._texts if len(each) >= _SHORT)


def leaves(value: object) -> Iterator[object]:
    """Yield what is in a value, however deep: keys of dictionaries as well."""
    match value:
        case Mapping():
            for key, each in value.items():
                yield key
                yield from leaves(each)
        case list() | tuple():
            for each in value:
                yield from leaves(each)
        case _:
            yield value


def _closure(names: set[str], raw: Mapping[str, Any]) -> frozenset[str]:
    """Add the variables whose templates name one of ``names``, those whose templates name these, and so on."""
    if not names:
        return frozenset()
    words = {name: found for name, value in raw.items() if (found := _words(value))}
    while more := {name for name, found in words.items() if name not in names and found & names}:
        names |= more
    return frozenset(names)


def _words(value: object) -> set[str]:
    templates = (leaf for leaf in leaves(value) if isinstance(leaf, str) and ("{{" in leaf or "{%" in leaf))
    return {word for template in templates for word in _WORD.findall(template)}


def _plaintext(value: object) -> str:
    if value is None or isinstance(value, bool | int | float):
        return ""  # other texts hold these by chance
    try:
        return str(value)
    except AnsibleError:  # no password for it: whoever needs the value fails, and with a better message
        return ""
