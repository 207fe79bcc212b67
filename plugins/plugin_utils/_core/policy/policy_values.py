# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes values out of a policy file, and checks them. Each error names the file, and the path of the value in it.

The file is read with strings only, so ``yes`` is no boolean, and a branch ``1.10`` stays what it is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NoReturn

import msgspec

from ..errors import TrustError
from ..signing.public_key import PublicKey, read_public_key
from .patterns import pattern_problem

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LONGEST_NAME, _LONGEST_PATTERN, _MOST = 200, 500, 1000
_QUOTED = 60


class PolicyValue(msgspec.Struct, frozen=True):
    """A value in a policy file."""

    value: Any
    #: The file, for messages.
    title: str
    #: Its path in the file: ``tiers.corebuild.signatures``.
    path: str

    def refuse(self, expected: str, found: str | None = None) -> NoReturn:
        """Reject the value.

        Raises:
            TrustError: Always.
        """
        raise TrustError(f"{self.title}: {self.path} is {found or self._found()}; expected {expected}")

    def _found(self) -> str:
        match self.value:
            case None | "":
                return "empty"
            case str():
                return repr(self.value[:_QUOTED]) + ("…" if len(self.value) > _QUOTED else "")
            case list():
                return "a list" if self.value else "an empty list"
        return "a dictionary" if self.value else "an empty dictionary"

    def dictionary(self, expected: str) -> dict[str, PolicyValue]:
        """Return the values of a dictionary that is not empty, by key. Its keys are names, such as those of teams."""
        if not isinstance(self.value, Mapping) or not self.value:
            self.refuse(expected)
        if len(self.value) > _MOST:
            self.refuse(f"at most {_MOST} entries", f"a dictionary of {len(self.value)}")
        for name in self.value:
            if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
                self.refuse(
                    f"names of one line and at most {_LONGEST_NAME} characters", f"a dictionary with {name!r:.60}"
                )
        return {key: PolicyValue(each, self.title, f"{self.path}.{key}") for key, each in self.value.items()}

    def record(self, known: Collection[str], required: Collection[str] = ()) -> dict[str, PolicyValue]:
        """Return the values of a dictionary with known keys, by key."""
        if not isinstance(self.value, Mapping):
            self.refuse(f"a dictionary with {', '.join(known)}")
        prefix = f"{self.path}." if self.path else ""
        for key in self.value:
            if key not in known:
                similar = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
                advice = f"did you mean {similar[0]}?" if similar else f"known are {', '.join(known)}"
                raise TrustError(f"{self.title}: {prefix}{str(key)[:_QUOTED]} is not a key of a policy; {advice}")
        for key in required:
            if key not in self.value:
                raise TrustError(f"{self.title}: {prefix}{key} is missing; a policy needs it")
        return {key: PolicyValue(each, self.title, prefix + key) for key, each in self.value.items()}

    def text(self, expected: str) -> str:
        """Return a text of one line that is not empty."""
        if not isinstance(self.value, str) or not self.value.strip() or not self.value.isprintable():
            self.refuse(expected)
        return self.value

    def whole(self, least: int = 1) -> int:
        """Return a whole number."""
        if not isinstance(self.value, str) or not _WHOLE.fullmatch(self.value) or int(self.value) < least:
            self.refuse(f"a whole number of at least {least}")
        return int(self.value)

    def flag(self) -> bool:
        """Return a boolean."""
        if self.value not in ("true", "false"):
            self.refuse("true or false")
        return bool(self.value == "true")

    def names(self, expected: str) -> tuple[str, ...]:
        """Return the texts of a list that is not empty."""
        if not isinstance(self.value, list) or not self.value or len(self.value) > _MOST:
            self.refuse(expected)
        return tuple(
            PolicyValue(each, self.title, f"{self.path}[{index}]").text(expected)
            for index, each in enumerate(self.value)
        )

    def patterns(self, example: str, *, absolute: bool = False) -> tuple[str, ...]:
        """Return the patterns of a list that is not empty.

        Args:
            example: A valid list, for messages.
            absolute: Whether they are patterns of absolute paths.
        """
        patterns = self.names(f"a list of patterns such as {example}")
        for index, pattern in enumerate(patterns):
            place = PolicyValue(pattern, self.title, f"{self.path}[{index}]")
            problem = pattern_problem(pattern)
            if problem is not None or len(pattern) > _LONGEST_PATTERN:
                place.refuse(f"a pattern such as {example}", f"{pattern[:_QUOTED]!r}: {problem or 'it is too long'}")
            if absolute and (not pattern.startswith("/") or ".." in pattern.split("/")):
                place.refuse(f"a pattern of absolute paths such as {example}")
        return patterns

    def keys(self) -> dict[str, PublicKey]:
        """Return the public keys of a dictionary that is not empty, by name."""
        entries = self.dictionary("a dictionary of public keys in PEM, by name")
        return {name: place.key() for name, place in entries.items()}

    def key(self) -> PublicKey:
        """Return a public key."""
        if not isinstance(self.value, str) or not self.value.strip():
            self.refuse("a public key in PEM, -----BEGIN PUBLIC KEY-----")
        return read_public_key(self.value, f"{self.title}: {self.path}")

    def moment(self) -> datetime:
        """Return a time: the end of a day, or an RFC 3339 time."""
        expected = "a day such as 2027-06-30, or a time such as 2027-06-30T12:00:00Z"
        if not isinstance(self.value, str):
            self.refuse(expected)
        try:
            if _DAY.fullmatch(self.value):
                return datetime.combine(date.fromisoformat(self.value), time(), UTC) + timedelta(days=1)
            moment = datetime.fromisoformat(self.value)
        except (ValueError, OverflowError):
            self.refuse(expected)
        if moment.tzinfo is None:
            self.refuse("a time with Z or an offset at its end")
        return moment.astimezone(UTC)

    def by_key_id(self) -> dict[str, PolicyValue]:
        """Return the values of a dictionary by the IDs of keys."""
        values = self.dictionary("a dictionary by key ID")
        for name, place in values.items():
            if not _KEY_ID.fullmatch(name):
                raise TrustError(
                    f"{self.title}: {place.path} does not name a key; expected its ID, 64 hexadecimal digits in lower "
                    "case"
                )
        return values

    def day_and_reason(self) -> tuple[str, str]:
        """Return a day, and the text after it, which can be empty."""
        expected = "a day and a reason such as 2026-11-30 laptop lost"
        day, _, reason = self.text(expected).partition(" ")
        try:
            date.fromisoformat(day if _DAY.fullmatch(day) else "")
        except ValueError:
            self.refuse(expected)
        return day, reason.strip()
