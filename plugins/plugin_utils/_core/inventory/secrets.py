# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds values from a vault in a host's variables, and rejects them in the settings of an image."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ansible._internal._datatag._tags import Origin
from ansible.errors import AnsibleError
from ansible.parsing.vault import EncryptedString, VaultHelper, is_encrypted_file

from ..chain.tier_variables import SECRETS
from ..errors import ChainError
from ..local_files import own_reads

#: Shorter values are not searched in settings: other texts contain them by chance.
_MIN_LENGTH = 6

#: Where a secret comes from, for messages: a vault, or the secrets of the build.
_ORIGIN = ("comes from a vault", "is only for the build")

#: Variables of Ansible that contain all other variables. These are checked one by one.
_VIEWS = frozenset({"groups", "hostvars", "vars"})


def reject_secrets(tier: str, variable: str, config: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """Make sure that image settings contain no value from a vault, neither alone nor inside another text.

    Everybody who can pull an image can read its settings.

    Args:
        tier: The tier.
        variable: The variable that contains the settings, for the message.
        config: The settings.
        variables: The tier's variables, templated or not.

    Raises:
        ChainError: A setting contains a value from a vault.
    """
    settings = [(place, str(leaf)) for place, leaf in _located_strings(config)]
    if not settings:
        return
    for name, value in _vault_values(variables):
        for place, setting in settings:
            if value in setting:
                where = variable + place.replace(value, "***")
                origin = _ORIGIN[name.startswith(SECRETS)]
                raise ChainError(
                    f"tier {tier!r}: {where} contains the value of {name}, which {origin}; everybody who can pull "
                    "the image could read it. Pass it to containers when they start, as a file or in their "
                    "environment"
                )


class SecretMask:
    """Replaces values from a vault in texts by ``***``, for example in the output of tests."""

    def __init__(self, hosts: Iterable[Mapping[str, Any]]) -> None:
        """Take the variables of the hosts whose secrets a text may contain. They are read when the first text comes."""
        self._hosts = hosts

    @cached_property
    def _values(self) -> list[str]:
        values = {value for variables in self._hosts for _name, value in _vault_values(variables)}
        return sorted(values, key=len, reverse=True)  # a value can contain another one

    def hide(self, text: str) -> str:
        """Return the text without the secrets."""
        for value in self._values if text else ():
            text = text.replace(value, "***")
        return text


def _vault_values(variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each value from a vault that can be decrypted."""
    for name, value in _build_secrets(variables.get(SECRETS)):
        yield f"{SECRETS}.{name}", value
    for name in variables.keys() - _VIEWS - {SECRETS}:
        try:
            for place, leaf in _located_strings(variables[name], name):
                if is_secret(leaf) and len(str(leaf)) >= _MIN_LENGTH:
                    yield place, str(leaf)
        except AnsibleError:  # a setting cannot contain a value that cannot be decrypted or templated here
            continue


def _build_secrets(value: object) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each secret of a build. Their names are no secrets."""
    for name, text in value.items() if isinstance(value, Mapping) else ():
        with suppress(AnsibleError):
            if len(str(text).strip()) >= _MIN_LENGTH:
                yield name, str(text).strip()


def is_secret(value: object) -> bool:
    """Check whether a value comes from a vault: it was encrypted itself, or its whole file is encrypted."""
    if VaultHelper.get_ciphertext(value, with_tags=False) is not None:
        return True
    origin = Origin.get_tag(value)  # values of an encrypted file have no vault tag; they only name their file
    return origin is not None and origin.path is not None and _is_vault(origin.path)


@cache
def _is_vault(path: str) -> bool:
    try:
        with own_reads(), Path(path).open("rb") as file:
            return bool(is_encrypted_file(file))
    except OSError:
        return False


def _located_strings(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Yield the place and the value of each string in a value, decrypted or not; keys of dictionaries included."""
    match value:
        case Mapping():
            for key, item in value.items():
                yield from _located_strings(key, f"{place}.{key}")
                yield from _located_strings(item, f"{place}.{key}")
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _located_strings(item, f"{place}[{index}]")
        case str() | EncryptedString():
            yield place, value


#: A shorter secret is only found if it is the whole value: many texts contain an ``a``.
_MIN_LENGTH_IN_TEXT = 4

_WORD = re.compile(r"\w+")


class Secrets:
    """The secrets of one host."""

    def __init__(self, raw: Mapping[str, Any], hidden: Collection[str]) -> None:
        """Find the secrets.

        Args:
            raw: The host's variables, untemplated.
            hidden: Names of variables that the role marks as secret (``no_log``).
        """
        vaulted = {name: [leaf for leaf in leaves(value) if is_secret(leaf)] for name, value in raw.items()}
        self._texts = frozenset(text for values in vaulted.values() for leaf in values if (text := _plaintext(leaf)))
        self._names = _with_dependents({*hidden, *(name for name, values in vaulted.items() if values)}, raw)

    def are_in(self, name: str, value: object) -> bool:
        """Check whether a variable is secret, or its templated value contains a secret."""
        return name in self._names or any(is_secret(leaf) or self._contains_secret(leaf) for leaf in leaves(value))

    def _contains_secret(self, leaf: object) -> bool:
        if not self._texts:
            return False
        text = str(leaf)
        return text in self._texts or any(
            secret in text for secret in self._texts if len(secret) >= _MIN_LENGTH_IN_TEXT
        )


def leaves(value: object) -> Iterator[object]:
    """Yield all scalar values in a nested value; keys of dictionaries included."""
    match value:
        case Mapping():
            for key, item in value.items():
                yield key
                yield from leaves(item)
        case list() | tuple():
            for item in value:
                yield from leaves(item)
        case _:
            yield value


def _with_dependents(names: set[str], raw: Mapping[str, Any]) -> frozenset[str]:
    """Add all variables whose templates refer to one of ``names``, directly or through other variables."""
    if not names:
        return frozenset()
    references = {name: words for name, value in raw.items() if (words := _referenced_words(value))}
    while more := {name for name, words in references.items() if name not in names and words & names}:
        names |= more
    return frozenset(names)


def _referenced_words(value: object) -> set[str]:
    templates = (leaf for leaf in leaves(value) if isinstance(leaf, str) and ("{{" in leaf or "{%" in leaf))
    return {word for template in templates for word in _WORD.findall(template)}


def _plaintext(value: object) -> str:
    if value is None or isinstance(value, bool | int | float):
        return ""  # other texts contain these by chance
    try:
        return str(value)
    except AnsibleError:  # no password for it: a task that needs the value fails with a better message
        return ""
