# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests that a tier's image must pass: those of the tier's own role, and the contracts of its ancestors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..build_key.file_digests import digest_path
from ..build_key.parts import digest_bytes
from ..chain import tags

#: Names of pytest's test files, and their folder in a role.
TEST_FILES = ("test_*.py", "*_test.py")
_FOLDER = "tests"


class RoleTests(msgspec.Struct, frozen=True):
    """The tests of one tier's role."""

    #: The name of the tier.
    tier: str
    #: The team that owns it.
    team: str
    #: The folder with the tests.
    folder: str
    #: The published image that they are attached to, if another team owns them; ``None`` for a role of this project:
    #: ``registry.example.org/operations/corebuild@sha256:…``. Tests of other teams run in a sandbox.
    origin: str | None = None


class Suite(msgspec.Struct, frozen=True):
    """The tests that one tier's image must pass."""

    #: The tests of its role; ``None`` if there are none.
    own: RoleTests | None = None
    #: The tests of its ancestors' roles, the parent's first. Only those that are marked ``contract`` run.
    contracts: tuple[RoleTests, ...] = ()
    #: The tests of its other roles.
    more: tuple[RoleTests, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all)

    @property
    def all(self) -> tuple[RoleTests, ...]:
        """All tests, those of its own roles first."""
        return (*self.of_tier, *self.contracts)

    @property
    def of_tier(self) -> tuple[RoleTests, ...]:
        """The tests of its own roles."""
        return (*([] if self.own is None else [self.own]), *self.more)

    def digest(self) -> str:
        """Return the digest of all files in the folders of the tests. It does not depend on the paths of the folders.

        Raises:
            OSError: A file cannot be read.
        """
        return digest_bytes(repr([(tests.tier, digest_path(Path(tests.folder))) for tests in self.all]).encode())


def find_tests(role: Path) -> Path | None:
    """Return the folder of a role's tests; ``None`` if it has no test files."""
    folder = role / _FOLDER
    return folder if any(next(folder.rglob(pattern), None) for pattern in TEST_FILES) else None


def passed_tag(image: str, tests: str, neighbours: Mapping[str, str | None]) -> str:
    """Return the tag of an image that passed exactly these tests.

    Args:
        image: The ID of the image.
        tests: The digest of the tests.
        neighbours: IDs of the images that the tests used, by tier; ``None`` for a tier without an image.
    """
    neighbour_images = repr(sorted((name, neighbour or "") for name, neighbour in neighbours.items()))
    return tags.tested(digest_bytes(f"{image} {tests}".encode()), digest_bytes(neighbour_images.encode()))
