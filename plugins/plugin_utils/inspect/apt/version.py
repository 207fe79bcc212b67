# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order of Debian's versions (``deb-version(7)``)."""

from __future__ import annotations

import re
from functools import lru_cache

_PAIRS = re.compile(r"([^0-9]*)([0-9]*)")
_BEFORE_EVERYTHING = "~"

#: Compares as the version that it was made of does.
Key = tuple[object, ...]


@lru_cache(maxsize=1 << 16)
def key(version: str) -> Key:
    """Make what sorts a version where dpkg does."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return (_number(epoch), _part(upstream), _part(revision))


def _part(text: str) -> Key:
    """Pairs of what is no number and a number; a part that ends earlier is as one that goes on with nothing and 0."""
    pairs = _PAIRS.findall(text)
    if len(pairs) > 1:
        pairs.pop()  # the empty end
    return (*(each for words, number in pairs for each in (_words(words), _number(number))), (0,))


def _words(text: str) -> tuple[int, ...]:
    """Letters come before other characters, and ``~`` before the end."""
    return (*map(_order, text), 0)


def _order(character: str) -> int:
    if character == _BEFORE_EVERYTHING:
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 256


def _number(digits: str) -> tuple[int, str]:
    """A number of any length; Python refuses to convert very long ones."""
    digits = digits.lstrip("0")
    return len(digits), digits
