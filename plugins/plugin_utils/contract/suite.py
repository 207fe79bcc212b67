# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tests a tier's image has to pass: its own, and what its ancestors ask of every descendant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..chain import tags
from ..keys.files import digest_path
from ..keys.parts import digest_bytes

#: Names of files that pytest looks for tests in, and the folder of a role that they are in.
_FILES = ("test_*.py", "*_test.py")
_FOLDER = "tests"


@dataclass(frozen=True, slots=True)
class RoleTests:
    """The tests of one tier's role."""

    #: The tier that they are of.
    tier: str
    #: The team that owns it.
    team: str
    #: The folder that they are in.
    folder: str


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests that one tier's image has to pass."""

    #: Its own; ``None`` where its role has none.
    own: RoleTests | None = None
    #: Those of its ancestors, of which the contracts count; its parent's first.
    contracts: tuple[RoleTests, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all)

    @property
    def all(self) -> tuple[RoleTests, ...]:
        """All of them, its own first."""
        return (*([] if self.own is None else [self.own]), *self.contracts)

    def digest(self) -> str:
        """Digest of every file that has a part in the tests, the same wherever they lie.

        Raises:
            OSError: A file cannot be read.
        """
        return digest_bytes(repr([(each.tier, digest_path(Path(each.folder))) for each in self.all]).encode())

    def written(self) -> dict[str, Any]:
        """Its fields, as JSON holds them."""
        return asdict(self)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Suite:
        """Read what :meth:`written` wrote."""
        own = fields["own"]
        return cls(None if own is None else RoleTests(**own), tuple(RoleTests(**each) for each in fields["contracts"]))


def find_tests(role: Path) -> Path | None:
    """Find the folder of a role's tests; ``None`` where it has none that pytest would run."""
    folder = role / _FOLDER
    return folder if any(next(folder.rglob(pattern), None) for pattern in _FILES) else None


def passed_tag(image: str, tests: str, neighbours: Mapping[str, str | None]) -> str:
    """Tag that says of an image that it passed these very tests.

    Args:
        image: Its ID.
        tests: Digest of the tests.
        neighbours: IDs of the images that they ran with, by tier; ``None`` where a tier has none.
    """
    beside = repr(sorted((name, other or "") for name, other in neighbours.items()))
    return tags.tested(digest_bytes(f"{image} {tests}".encode()), digest_bytes(beside.encode()))
