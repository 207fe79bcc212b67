# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order of Debian versions (``deb-version(7)``), and the version that apt would choose (``apt_preferences(5)``)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from ..deb822 import paragraphs

_PAIRS = re.compile(r"([^0-9]*)([0-9]*)")
_BEFORE_EVERYTHING = "~"

#: Sort key of a version.
Key = tuple[object, ...]


@lru_cache(maxsize=1 << 16)
def key(version: str) -> Key:
    """Return the sort key of a version. It orders versions as dpkg does."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return (_number(epoch), _part(upstream), _part(revision))


def _part(text: str) -> Key:
    """Split into pairs of non-digits and digits. A shorter part compares as if an empty text and 0 followed."""
    pairs = _PAIRS.findall(text)
    if len(pairs) > 1:
        pairs.pop()  # the last match is empty
    return (*(item for words, number in pairs for item in (_words(words), _number(number))), (0,))


def _words(text: str) -> tuple[int, ...]:
    """Order letters before other characters, and ``~`` before the end."""
    return (*map(_order, text), 0)


def _order(character: str) -> int:
    if character == _BEFORE_EVERYTHING:
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 256


def _number(digits: str) -> tuple[int, str]:
    """Order numbers of any length by their digits. Python refuses to convert very long numbers."""
    digits = digits.lstrip("0")
    return len(digits), digits


_USUAL, _INSTALLED, _NOT_AUTOMATIC, _DOWNGRADES = 500, 100, 1, 1000

#: Letters of ``Pin: release`` to fields of an archive's Release file.
_FIELDS = {"a": "suite", "n": "codename", "v": "version", "o": "origin", "l": "label"}


class SuiteComponent(msgspec.Struct, frozen=True):
    """One component of an archive's suite: the properties that all its packages share."""

    #: Host of the archive.
    host: str
    #: For example ``main``.
    name: str
    #: Fields of the suite's Release file; the names are in lower case.
    release: Mapping[str, str]


class Offer(msgspec.Struct, frozen=True):
    """A version of a package that an archive offers."""

    version: str
    component: SuiteComponent


class Pin(msgspec.Struct, frozen=True):
    """One record of an image's apt preferences."""

    #: Names, or patterns with ``*``. Regular expressions match nothing, because the image is not trusted.
    packages: tuple[str, ...]
    #: ``release``, ``version`` or ``origin``.
    kind: str
    #: The value that has to match, in apt's syntax for this kind.
    wanted: str
    priority: int

    @property
    def is_general(self) -> bool:
        """Whether it applies to all packages. A pin for specific packages overrides it."""
        return self.packages == ("*",)

    def matches(self, package: str, offer: Offer) -> bool:
        """Return whether the pin applies to this version of a package."""
        if not any(fnmatch.fnmatchcase(package, pattern) for pattern in self.packages):
            return False
        if self.kind == "version":
            return fnmatch.fnmatchcase(offer.version, self.wanted)
        if self.kind == "origin":
            return fnmatch.fnmatchcase(offer.component.host, self.wanted.strip('"'))
        return all(_satisfies(offer.component, condition.strip()) for condition in self.wanted.split(","))


def pins(text: str) -> Iterator[Pin]:
    """Parse a preferences file. Invalid records are ignored."""
    for fields in paragraphs(text):
        kind, _, wanted = fields.get("pin", "").partition(" ")
        priority = fields.get("pin-priority", "")
        if kind in {"release", "version", "origin"} and re.fullmatch(r"-?\d{1,6}", priority):
            yield Pin(tuple(fields.get("package", "").split()), kind, wanted.strip(), int(priority))


def candidate(package: str, installed: str, offers: Sequence[Offer], preferences: Iterable[Pin]) -> str:
    """Return the version that apt would choose: the one with the highest priority, and among several the newest.

    Args:
        package: Name of the package.
        installed: The installed version.
        offers: The versions in the archives.
        preferences: The image's pins.

    Returns:
        A version; the installed one if apt would not change the package.
    """
    ordered = sorted(preferences, key=lambda pin: pin.is_general)
    priorities: dict[str, int] = {installed: _INSTALLED}
    for offer in offers:
        priority = _priority(package, offer, ordered)
        if priority >= 0 and (priority >= _DOWNGRADES or key(offer.version) >= key(installed)):
            priorities[offer.version] = max(priorities.get(offer.version, 0), priority)
    return max(priorities, key=lambda version: (priorities[version], key(version)))


def _priority(package: str, offer: Offer, ordered: Iterable[Pin]) -> int:
    pinned = next((pin.priority for pin in ordered if pin.matches(package, offer)), None)
    if pinned is not None:
        return pinned
    if offer.component.release.get("notautomatic") == "yes":
        upgrades = offer.component.release.get("butautomaticupgrades") == "yes"
        return _INSTALLED if upgrades else _NOT_AUTOMATIC
    return _USUAL


def _satisfies(component: SuiteComponent, condition: str) -> bool:
    letter, equals, pattern = condition.partition("=")
    if not equals:  # a suite or a code name
        return condition in {component.release.get("suite"), component.release.get("codename")}
    value = component.name if letter == "c" else component.release.get(_FIELDS.get(letter, ""), "")
    return fnmatch.fnmatchcase(value, pattern.strip('"'))
