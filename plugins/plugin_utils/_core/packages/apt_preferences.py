# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Order of versions, and which one apt would choose.

The order of Debian's versions (``deb-version(7)``).

Which version apt would choose (``apt_preferences(5)``).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .apt_sources import stanzas

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


_USUAL, _INSTALLED, _NOT_AUTOMATIC, _DOWNGRADES = 500, 100, 1, 1000

#: Letters of ``Pin: release`` to fields of an archive's Release file.
_FIELDS = {"a": "suite", "n": "codename", "v": "version", "o": "origin", "l": "label"}


@dataclass(frozen=True, slots=True)
class Shelf:
    """One component of an archive's suite: what all its packages have in common."""

    #: Host that it is fetched from.
    host: str
    component: str
    #: Fields of its Release file, in lower case.
    release: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Offer:
    """A version of a package that an archive has."""

    version: str
    shelf: Shelf


@dataclass(frozen=True, slots=True)
class Pin:
    """One record of an image's preferences."""

    #: Names, or patterns with ``*``. Regular expressions match nothing: they come from the image, that is from anybody.
    packages: tuple[str, ...]
    #: ``release``, ``version`` or ``origin``, and what has to match.
    kind: str
    wanted: str
    priority: int

    @property
    def is_general(self) -> bool:
        """Whether it is about all packages; it counts less than those that are not."""
        return self.packages == ("*",)

    def matches(self, package: str, offer: Offer) -> bool:
        """Say whether it is about a version of a package."""
        if not any(fnmatch.fnmatchcase(package, pattern) for pattern in self.packages):
            return False
        if self.kind == "version":
            return fnmatch.fnmatchcase(offer.version, self.wanted)
        if self.kind == "origin":
            return fnmatch.fnmatchcase(offer.shelf.host, self.wanted.strip('"'))
        return all(_is_of(offer.shelf, each.strip()) for each in self.wanted.split(","))


def pins(text: str) -> Iterator[Pin]:
    """Read a file of preferences; records that are none are passed over."""
    for fields in stanzas(text):
        kind, _, wanted = fields.get("pin", "").partition(" ")
        priority = fields.get("pin-priority", "")
        if kind in {"release", "version", "origin"} and re.fullmatch(r"-?\d{1,6}", priority):
            yield Pin(tuple(fields.get("package", "").split()), kind, wanted.strip(), int(priority))


def candidate(package: str, installed: str, offers: Sequence[Offer], preferences: Iterable[Pin]) -> str:
    """Say which version apt would have: the one of the highest priority, and of several the newest.

    Args:
        package: The package's name.
        installed: Its version that is installed.
        offers: What archives have.
        preferences: The image's pins.

    Returns:
        A version, which is the installed one where there is nothing to do.
    """
    ordered = sorted(preferences, key=lambda pin: pin.is_general)
    best: dict[str, int] = {installed: _INSTALLED}
    for offer in offers:
        priority = _priority(package, offer, ordered)
        if priority >= 0 and (priority >= _DOWNGRADES or key(offer.version) >= key(installed)):
            best[offer.version] = max(best.get(offer.version, 0), priority)
    return max(best, key=lambda version: (best[version], key(version)))


def _priority(package: str, offer: Offer, ordered: Iterable[Pin]) -> int:
    pinned = next((pin.priority for pin in ordered if pin.matches(package, offer)), None)
    if pinned is not None:
        return pinned
    if offer.shelf.release.get("notautomatic") == "yes":
        upgrades = offer.shelf.release.get("butautomaticupgrades") == "yes"
        return _INSTALLED if upgrades else _NOT_AUTOMATIC
    return _USUAL


def _is_of(shelf: Shelf, condition: str) -> bool:
    letter, equals, value = condition.partition("=")
    if not equals:  # a suite or a code name
        return condition in {shelf.release.get("suite"), shelf.release.get("codename")}
    told = shelf.component if letter == "c" else shelf.release.get(_FIELDS.get(letter, ""), "")
    return fnmatch.fnmatchcase(told, value.strip('"'))
