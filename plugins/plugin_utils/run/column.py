# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run over one variant of a chain is one column of that chain's compatibility matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..chain import names, tags
from ..contract.kept import keep, kept, set_damaged_aside
from ..contract.matrix import SCHEMA, Cell, Matrix, State, Variant
from ..engine.engine import Engine
from ..errors import ChainError, DamagedError
from ..image.labels import CHAIN
from .journal import Journal, state_folder
from .plan import Action
from .records import Planned, read_plans
from .standing import read as read_standing
from .turn import exclusively

_KIND = "variant"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which variant a run is over, and of what: the variable ``tier_variant``."""

    #: ``debian-13``.
    name: str
    #: ``Debian 13``.
    title: str
    #: The chain whose matrix it is a column of.
    of: str

    @classmethod
    def read(cls, given: Any) -> Asked:
        """Check the variable.

        Raises:
            ChainError: It is not what is expected.
        """
        keys = {field.name for field in dataclasses.fields(cls)}
        if (
            not isinstance(given, Mapping)
            or set(given) - {"title"} != keys - {"title"}
            or not all(isinstance(value, str) and value for value in given.values())
        ):
            raise ChainError(
                f"tier_variant is {given!r}; expected a dictionary with the texts name and of (the chain that this is "
                "a variant of), and title if people call it otherwise"
            )
        for key in ("name", "of"):
            names.check(f"tier_variant.{key}", given[key])
        return cls(**{"title": given["name"], **given})


def note(journal: Journal, asked: Asked) -> None:
    """Record that a run is over a variant."""
    journal.write(_KIND, asked.name, dataclasses.asdict(asked))


def keep_column(engine: Engine, journal: Journal) -> str | None:
    """Put how a run ended into the matrix of the chain that it was over a variant of.

    The matrix is that of the chain's newest release on the engine; each variant that was run since is a column of it.

    Args:
        engine: The engine.
        journal: The run, at its end.

    Returns:
        Lines that say so, and which damaged matrices were set aside; ``None`` where the run was over no variant.

    Raises:
        EngineError: The engine does not answer.
    """
    recorded = journal.recorded(_KIND)
    if not recorded:
        return None
    asked = Asked(**(journal.read(_KIND, recorded[0]) or {}))
    column = Variant(asked.name, asked.title, _cells(journal))
    release = _newest_release(engine, asked.of)
    with exclusively(asked.of, "matrix"):
        damaged = list(set_damaged_aside(state_folder(asked.of)))
        same = [each for each in kept(state_folder(asked.of)) if each.release == release][-1:]
        known = {each.name: each for matrix in same for each in matrix.variants}
        known[column.name] = _with_times(column, known.get(column.name))
        made = same[0].made if same and release is None else datetime.now(UTC).isoformat(timespec="seconds")
        keep(state_folder(asked.of), Matrix(SCHEMA, asked.of, release, made, list(known.values())))
    passed = sum(cell.state is State.PASSED for cell in column.tiers)
    how = f"{passed} of {len(column.tiers)} tiers passed"
    line = f"variant {asked.title} of chain {asked.of}: {how}; `tierwright matrix {asked.of}` shows all"
    return "\n".join([*damaged, line])


def _with_times(column: Variant, before: Variant | None) -> Variant:
    """Let an image that was kept have the time that its build took."""
    times = {cell.image: cell.seconds for cell in (before.tiers if before else [])}
    tiers = [
        dataclasses.replace(cell, seconds=times.get(cell.image)) if cell.image and cell.seconds is None else cell
        for cell in column.tiers
    ]
    return dataclasses.replace(column, tiers=tiers)


def _newest_release(engine: Engine, chain: str) -> str | None:
    """The newest release of a chain, in the repositories that a plan here has told; without one, by its label."""
    mine = engine.images.labelled(f"{CHAIN}={chain}")
    try:
        known = {each.release.rpartition(":")[0] for each in read_standing(chain).values()}
    except DamagedError:
        known = set()
    found = {
        tag
        for repository, named in engine.images.snapshot().names.items()
        for tag, image in named.items()
        if tags.is_release(tag) and (repository in known if known else image in mine)
    }
    return max(found, default=None)


def _cells(journal: Journal) -> list[Cell]:
    chain, planned = read_plans(journal)
    cells: dict[str, Cell] = {}
    for tier in chain:
        if planned[tier.name].action is not Action.LEAVE:
            cells[tier.name] = _cell(journal, planned[tier.name], cells.get(tier.parent or ""))
    return list(cells.values())


def _cell(journal: Journal, planned: Planned, below: Cell | None) -> Cell:
    name, outcome = planned.tier.name, journal.outcome(planned.tier.name)
    tested = journal.read("tested", name) or {"passed": True, "failed": [], "image": None}
    image = outcome.image if outcome else planned.image
    if image is not None and tested["passed"]:
        return Cell(name, State.PASSED, image=image, seconds=_seconds(journal, name))
    reason = (outcome.reason if outcome else "") or "the run ended before it was built"
    if tested["passed"] and (outcome is None or (below is not None and below.state is not State.PASSED)):
        return Cell(name, State.NOT_REACHED, message=reason)
    first = next(iter(tested["failed"]), {"test": None, "message": reason})
    return Cell(name, State.FAILED, first["test"], first["message"], tested["image"], _seconds(journal, name))


def _seconds(journal: Journal, tier: str) -> float | None:
    """How long a tier's build took, with its tests; ``None`` where it was not built."""
    began, ended = journal.moment("build", tier), journal.moment("outcome", tier)
    return None if began is None or ended is None else round(ended - began, 1)
