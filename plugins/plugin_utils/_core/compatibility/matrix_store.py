# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kept matrices, and the recording of a run as a column.

The compatibility matrices of a chain that are kept, so that the next one shows what changed.

They lie in the folder ``matrix`` of the chain's state: one for each release, named after it; one that is about no
release is named after its moment.

A run over one variant of a chain is one column of that chain's compatibility matrix.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..chain import names, tags
from ..engine.engine import Engine
from ..errors import ChainError, DamagedError, NotFoundError
from ..image.labels import CHAIN
from ..local_files import set_aside, write_whole
from ..plan.decision import Action
from ..state.journal import Journal, state_folder
from ..state.lock import exclusively
from ..state.plan_records import Planned, read_plans
from ..state.status import read_status as read_standing
from .variant_matrix import SCHEMA, Cell, CellState, Matrix, Variant, matrix_text, parse_matrix

#: Matrices of a chain that are kept.
KEPT = 20

_FOLDER, _FILES = "matrix", "[!.]*.json"
_MOMENT = "%Y%m%dT%H%M%SZ"


def keep_matrix(state: Path, matrix: Matrix) -> Path:
    """Keep a matrix, in place of the one of the same release.

    Args:
        state: Folder of what is known of the chain here.
        matrix: The matrix.

    Returns:
        Its file, which only the user may read. It appears whole, and the oldest of more than :data:`KEPT` go.
    """
    folder = state / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{matrix.release or matrix.moment.astimezone(UTC).strftime(_MOMENT)}.json"
    write_whole(path, matrix_text(matrix))
    for old, _matrix in _kept(state)[:-KEPT]:
        with contextlib.suppress(FileNotFoundError):  # another run was quicker
            old.unlink()
    return path


def set_damaged_aside(state: Path) -> Iterator[str]:
    """Let files that are no matrices be in nobody's way; yields a sentence for each."""
    for path in (state / _FOLDER).glob(_FILES):
        try:
            parse_matrix(path.read_bytes(), str(path))
        except (DamagedError, OSError) as error:
            yield set_aside(path, error)


def kept_matrices(state: Path) -> list[Matrix]:
    """Matrices that are kept of a chain, the oldest first.

    Raises:
        DamagedError: One of the files is none.
    """
    return [matrix for _path, matrix in _kept(state)]


def is_kept(state: Path) -> bool:
    """Say whether there is a matrix of a chain."""
    return any((state / _FOLDER).glob(_FILES))


def newest_matrix(state: Path) -> tuple[Matrix, Matrix | None]:
    """The newest matrix, and what it is to be compared with.

    That is the newest of the releases before it; where there is none, the newest of all before it.

    Raises:
        NotFoundError: None is kept.
        DamagedError: One of the files is none.
    """
    if not (found := kept_matrices(state)):
        raise NotFoundError(f"{state / _FOLDER} holds no compatibility matrix; `make compatibility` makes one")
    *before, now = found
    released = [each for each in before if each.release]
    return now, next(reversed(released or before), None)


def _kept(state: Path) -> list[tuple[Path, Matrix]]:
    found = [(path, parse_matrix(path.read_bytes(), str(path))) for path in (state / _FOLDER).glob(_FILES)]
    return sorted(found, key=lambda each: (each[1].moment, each[0].name))


_KIND = "variant"


@dataclass(frozen=True, slots=True)
class VariantRef:
    """Which variant a run is over, and of what: the variable ``tier_variant``."""

    #: ``debian-13``.
    name: str
    #: ``Debian 13``.
    title: str
    #: The chain whose matrix it is a column of.
    of: str

    @classmethod
    def read(cls, given: Any) -> VariantRef:
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


def note_variant(journal: Journal, asked: VariantRef) -> None:
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
    asked = VariantRef(**(journal.read(_KIND, recorded[0]) or {}))
    column = Variant(asked.name, asked.title, _cells(journal))
    release = _newest_release(engine, asked.of)
    with exclusively(asked.of, "matrix"):
        damaged = list(set_damaged_aside(state_folder(asked.of)))
        same = [each for each in kept_matrices(state_folder(asked.of)) if each.release == release][-1:]
        known = {each.name: each for matrix in same for each in matrix.variants}
        known[column.name] = _with_times(column, known.get(column.name))
        made = same[0].made if same and release is None else datetime.now(UTC).isoformat(timespec="seconds")
        keep_matrix(state_folder(asked.of), Matrix(SCHEMA, asked.of, release, made, list(known.values())))
    passed = sum(cell.state is CellState.PASSED for cell in column.tiers)
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
        return Cell(name, CellState.PASSED, image=image, seconds=_seconds(journal, name))
    reason = (outcome.reason if outcome else "") or "the run ended before it was built"
    if tested["passed"] and (outcome is None or (below is not None and below.state is not CellState.PASSED)):
        return Cell(name, CellState.NOT_REACHED, message=reason)
    first = next(iter(tested["failed"]), {"test": None, "message": reason})
    return Cell(name, CellState.FAILED, first["test"], first["message"], tested["image"], _seconds(journal, name))


def _seconds(journal: Journal, tier: str) -> float | None:
    """How long a tier's build took, with its tests; ``None`` where it was not built."""
    began, ended = journal.moment("build", tier), journal.moment("outcome", tier)
    return None if began is None or ended is None else round(ended - began, 1)
