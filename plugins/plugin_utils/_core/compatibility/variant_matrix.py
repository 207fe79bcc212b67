# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The compatibility matrix: which tier passes its tests on which variant of the chain.

A matrix is a JSON document; ``docs/schemas/matrix.json`` is its schema. :mod:`.matrix_store` saves and reads it.
"""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from ..chain import tags
from ..errors import DamagedError
from ..records import decode, encode

#: Version of the document. Increase it whenever a field is added or changes its meaning.
SCHEMA = 1


class CellState(enum.StrEnum):
    """The result of a tier on a variant."""

    PASSED = "passed"
    FAILED = "failed"
    #: An ancestor failed, or the run ended before.
    NOT_REACHED = "not reached"


class Cell(msgspec.Struct, frozen=True):
    """The result of one tier on one variant."""

    tier: str
    state: CellState
    #: The first test that failed; ``null`` if no test failed.
    test: str | None = None
    #: The message of that test, or why the tier was not reached.
    message: str | None = None
    #: ID of the image; ``null`` if there is none.
    image: str | None = None
    #: How many seconds its build and its tests took; ``null`` if that is not known.
    seconds: float | None = None


class Variant(msgspec.Struct, frozen=True):
    """A copy of a chain with one change in a lower tier: one column of the matrix."""

    #: For example ``debian-13``.
    name: str
    #: The name for people, for example ``Debian 13``.
    title: str
    #: Parents before children.
    tiers: list[Cell]

    def cell(self, tier: str) -> Cell | None:
        """Return the result of ``tier`` on this variant; ``None`` if the variant has no such tier."""
        return next((cell for cell in self.tiers if cell.tier == tier), None)


class Matrix(msgspec.Struct, frozen=True):
    """A compatibility matrix."""

    schema: int
    chain: str
    #: The release, ``release-…``; ``null`` if the images are not released.
    release: str | None
    #: RFC 3339 time.
    made: str
    variants: list[Variant]

    @property
    def tiers(self) -> list[str]:
        """Names of all tiers, in the order in which the variants list them."""
        return list(dict.fromkeys(cell.tier for variant in self.variants for cell in variant.tiers))

    @property
    def passed(self) -> bool:
        """Whether every tier passed on every variant."""
        return all(cell.state is CellState.PASSED for variant in self.variants for cell in variant.tiers)

    @property
    def called(self) -> str:
        """Its release, or its time if it has no release."""
        return self.release or self.made

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made)


class CellChange(msgspec.Struct, frozen=True):
    """A tier whose result on a variant changed."""

    variant: str
    tier: str
    #: The state before and now; ``null`` if the matrix has no result.
    before: CellState | None
    after: CellState | None
    #: The first test that fails now; ``null`` if no test fails.
    test: str | None


class Changes(msgspec.Struct, frozen=True):
    """The differences between two matrices of a chain."""

    chain: str
    #: The release of the older and of the newer matrix, or its time if it has no release. ``null`` if there is no older
    #: matrix.
    before: str | None
    after: str
    changes: list[CellChange]


def matrix_text(matrix: Matrix) -> str:
    """Return a matrix as a JSON document."""
    return encode(matrix, indent=2) + "\n"


def parse_matrix(content: str | bytes, what: str) -> Matrix:
    """Read a matrix from a JSON document.

    Args:
        content: The document.
        what: Name of the document in messages.

    Raises:
        DamagedError: The document is not a valid matrix.
    """
    try:
        matrix = decode(content, Matrix)
        _check(matrix)
    except ValueError as error:
        raise DamagedError(f"{what} is not a valid compatibility matrix: {error}") from error
    return matrix


def _check(matrix: Matrix) -> None:
    if matrix.schema != SCHEMA:
        raise ValueError(f"schema is {matrix.schema}; expected {SCHEMA}")
    if matrix.release is not None and not tags.is_release(matrix.release):
        raise ValueError(f"release is {matrix.release!r}; expected release-…")
    if matrix.moment.tzinfo is None:
        raise ValueError(f"made is {matrix.made!r}; expected a time with a time zone")


def compare(before: Matrix | None, after: Matrix) -> Changes:
    """Compare two matrices. The changes have the order of the newer matrix; cells that it lacks come last."""
    if before is None:
        return Changes(after.chain, None, after.called, [])
    old, new = _index_cells(before), _index_cells(after)
    changes = []
    for variant, tier in dict.fromkeys([*new, *old]):
        was, now = old.get((variant, tier)), new.get((variant, tier))
        states = was.state if was else None, now.state if now else None
        tests = was.test if was else None, now.test if now else None
        if len({*states}) > 1 or len({*tests}) > 1:
            changes.append(CellChange(variant, tier, *states, tests[1]))
    return Changes(after.chain, before.called, after.called, changes)


def _index_cells(matrix: Matrix) -> dict[tuple[str, str], Cell]:
    return {(variant.name, cell.tier): cell for variant in matrix.variants for cell in variant.tiers}
