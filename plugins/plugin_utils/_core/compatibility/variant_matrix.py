# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The compatibility matrix: which tier passes its tests on which variant of the tiers below it.

It is a document of its own, which ``docs/schemas/matrix.json`` describes; :mod:`.matrix_store` is where it lies.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..chain import tags
from ..errors import DamagedError

#: Raised by one whenever a document says more, or something else, than before.
SCHEMA = 1


class CellState(enum.StrEnum):
    """How a tier fares on a variant."""

    PASSED = "passed"
    FAILED = "failed"
    #: Something below it failed.
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Cell:
    """How one tier fares on one variant."""

    tier: str
    state: CellState
    #: The first test that failed; ``null`` where none did.
    test: str | None = None
    #: What it said, or why the tier was not reached.
    message: str | None = None
    #: ID of the image; ``null`` where there is none.
    image: str | None = None
    #: How long its build and its tests took.
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to build the lower tiers."""

    #: ``debian-13``.
    name: str
    #: What people call it: ``Debian 13``.
    title: str
    #: Parents before children.
    tiers: list[Cell]

    def cell(self, tier: str) -> Cell | None:
        """How ``tier`` fares on it; ``None`` where it was not asked."""
        return next((each for each in self.tiers if each.tier == tier), None)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A compatibility matrix."""

    schema: int
    chain: str
    #: ``release-…`` that it is about; ``null`` for what is not released.
    release: str | None
    #: RFC 3339 time.
    made: str
    variants: list[Variant]

    @property
    def tiers(self) -> list[str]:
        """Names of all its tiers, in the order in which the variants name them."""
        return list(dict.fromkeys(cell.tier for variant in self.variants for cell in variant.tiers))

    @property
    def passed(self) -> bool:
        """Whether every tier passed on every variant."""
        return all(cell.state is CellState.PASSED for variant in self.variants for cell in variant.tiers)

    @property
    def called(self) -> str:
        """Its release, or its time where there is none."""
        return self.release or self.made

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made)


@dataclass(frozen=True, slots=True)
class CellChange:
    """A tier that fares otherwise than before on a variant."""

    variant: str
    tier: str
    #: State before and now; ``null`` where it was or is not asked.
    before: CellState | None
    after: CellState | None
    #: The first test that fails now; ``null`` where none does.
    test: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two matrices of a chain."""

    chain: str
    #: Release, or time where there is none, of the older and the newer one; ``null`` where there is no older one.
    before: str | None
    after: str
    changes: list[CellChange]


def matrix_text(matrix: Matrix) -> str:
    """Write a document."""
    return json.dumps(dataclasses.asdict(matrix), indent=2) + "\n"


def parse_matrix(content: str | bytes, what: str) -> Matrix:
    """Read a document.

    Args:
        content: The document.
        what: What it is called in messages.

    Raises:
        DamagedError: It is no such document.
    """
    try:
        return _matrix(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{what} is no compatibility matrix: {error}") from error


def compare(before: Matrix | None, after: Matrix) -> Changes:
    """Say what differs between two matrices, in the order of the newer one; what it lacks comes last."""
    if before is None:
        return Changes(after.chain, None, after.called, [])
    old, new = _cells(before), _cells(after)
    changes = []
    for variant, tier in dict.fromkeys([*new, *old]):
        was, now = old.get((variant, tier)), new.get((variant, tier))
        states = was.state if was else None, now.state if now else None
        tests = was.test if was else None, now.test if now else None
        if len({*states}) > 1 or len({*tests}) > 1:
            changes.append(CellChange(variant, tier, *states, tests[1]))
    return Changes(after.chain, before.called, after.called, changes)


def _cells(matrix: Matrix) -> dict[tuple[str, str], Cell]:
    return {(variant.name, cell.tier): cell for variant in matrix.variants for cell in variant.tiers}


def _matrix(document: Any) -> Matrix:
    matrix = Matrix(
        schema=_value(document, "schema", int),
        chain=_value(document, "chain", str),
        release=_value(document, "release", str, type(None)),
        made=_value(document, "made", str),
        variants=[_variant(each) for each in _value(document, "variants", list)],
    )
    if matrix.schema != SCHEMA:
        raise ValueError(f"schema is {matrix.schema}; expected {SCHEMA}")
    if matrix.release is not None and not tags.is_release(matrix.release):
        raise ValueError(f"release is {matrix.release!r}; expected release-…")
    if matrix.moment.tzinfo is None:
        raise ValueError(f"made is {matrix.made!r}, which has no zone")
    return matrix


def _variant(document: Any) -> Variant:
    cells = [_cell(each) for each in _value(document, "tiers", list)]
    return Variant(_value(document, "name", str), _value(document, "title", str), cells)


def _cell(document: Any) -> Cell:
    seconds = _value(document, "seconds", int, float, type(None))
    if seconds is not None and not math.isfinite(seconds):
        raise ValueError(f"seconds is {seconds}")
    return Cell(
        tier=_value(document, "tier", str),
        state=CellState(_value(document, "state", str)),
        test=_value(document, "test", str, type(None)),
        message=_value(document, "message", str, type(None)),
        image=_value(document, "image", str, type(None)),
        seconds=seconds,
    )


def _value(told: Any, key: str, *kinds: type) -> Any:
    if not isinstance(told, dict) or key not in told:
        raise ValueError(f"{key} is missing")
    if type(told[key]) not in kinds:  # a bool is an int to isinstance
        raise ValueError(f"{key} is {told[key]!r}")
    return told[key]
