# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of a host's variables hold secrets, also where a template has put one into another text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError

from .secrets import is_secret

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
