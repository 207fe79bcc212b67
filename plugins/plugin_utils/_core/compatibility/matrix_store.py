# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Saves and reads compatibility matrices, and adds a run over a variant as a column.

The matrices are in the folder ``matrix`` of the chain's state folder. There is one for each release, with the name of
the release. A matrix without a release is named after its time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..chain import names, tags
from ..engine.engine import Engine
from ..errors import ChainError, DamagedError, NotFoundError
from ..image.labels import CHAIN
from ..local_files import set_aside, write_atomically
from ..plan.decision import Action
from ..state.journal import Journal, state_folder
from ..state.lock import chain_lock
from ..state.plan_records import Planned, read_plans
from ..state.status import read_status
from ..state.tier_records import build_seconds, read_tested
from .variant_matrix import SCHEMA, Cell, CellState, Matrix, Variant, matrix_text, parse_matrix

#: The largest number of matrices that are saved for a chain.
MAX_SAVED = 20

_FOLDER, _FILES = "matrix", "[!.]*.json"
_MOMENT = "%Y%m%dT%H%M%SZ"


def save_matrix(state: Path, matrix: Matrix) -> Path:
    """Save a matrix. It replaces the matrix of the same release. The oldest above :data:`MAX_SAVED` are removed.

    Args:
        state: The chain's state folder.
        matrix: The matrix.

    Returns:
        The path of the file. Only the user can read it. Readers never see half a file.
    """
    folder = state / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{matrix.release or matrix.moment.astimezone(UTC).strftime(_MOMENT)}.json"
    write_atomically(path, matrix_text(matrix))
    for old, _matrix in _read_all(state)[:-MAX_SAVED]:
        with contextlib.suppress(FileNotFoundError):  # another run has removed it
            old.unlink()
    return path


def set_damaged_aside(state: Path) -> Iterator[str]:
    """Rename files that do not contain a matrix, and yield a sentence for each."""
    for path in (state / _FOLDER).glob(_FILES):
        try:
            parse_matrix(path.read_bytes(), str(path))
        except (DamagedError, OSError) as error:
            yield set_aside(path, error)


def saved_matrices(state: Path) -> list[Matrix]:
    """Read the saved matrices of a chain, the oldest first.

    Raises:
        DamagedError: A file does not contain a matrix.
    """
    return [matrix for _path, matrix in _read_all(state)]


def has_matrices(state: Path) -> bool:
    """Say whether a chain has saved matrices."""
    return any((state / _FOLDER).glob(_FILES))


def newest_matrix(state: Path) -> tuple[Matrix, Matrix | None]:
    """Read the newest matrix, and the matrix to compare it with.

    The second one is the newest earlier matrix of a release. If there is none, it is the newest earlier matrix, or
    ``None``.

    Raises:
        NotFoundError: The chain has no saved matrix.
        DamagedError: A file does not contain a matrix.
    """
    if not (matrices := saved_matrices(state)):
        raise NotFoundError(f"{state / _FOLDER} contains no compatibility matrix; `make compatibility` makes one")
    *earlier, newest = matrices
    released = [matrix for matrix in earlier if matrix.release]
    return newest, next(reversed(released or earlier), None)


def _read_all(state: Path) -> list[tuple[Path, Matrix]]:
    matrices = [(path, parse_matrix(path.read_bytes(), str(path))) for path in (state / _FOLDER).glob(_FILES)]
    return sorted(matrices, key=lambda entry: (entry[1].moment, entry[0].name))


_KIND = "variant"


class VariantRef(msgspec.Struct, frozen=True):
    """The variable ``tier_variant``: the variant that a run builds, and the chain that it is a variant of."""

    #: For example ``debian-13``.
    name: str
    #: For example ``Debian 13``.
    title: str
    #: Name of the chain whose matrix has this variant as a column.
    of: str

    @classmethod
    def read(cls, given: Any) -> VariantRef:
        """Check and read the variable.

        Raises:
            ChainError: A key is missing or unknown, a value is not a text, or a name is not valid.
        """
        keys = set(cls.__struct_fields__)
        if (
            not isinstance(given, Mapping)
            or set(given) - {"title"} != keys - {"title"}
            or not all(isinstance(value, str) and value for value in given.values())
        ):
            raise ChainError(
                f"tier_variant is {given!r}; expected a dictionary with two texts: name, and of (the name of the chain "
                "that this is a variant of). A third text, title, is optional: the title of the variant for people"
            )
        for key in ("name", "of"):
            names.check_chain_name(f"tier_variant.{key}", given[key])
        return cls(**{"title": given["name"], **given})


def note_variant(journal: Journal, variant: VariantRef) -> None:
    """Record that a run builds a variant."""
    journal.write(_KIND, variant.name, variant)


def record_column(engine: Engine, journal: Journal) -> str | None:
    """Add the results of a run over a variant to the compatibility matrix of its chain, as a column.

    The column belongs to the matrix of the chain's newest release on the engine. The matrix has one column for each
    variant that was run since that release.

    Args:
        engine: The engine.
        journal: The journal of the run, which has ended.

    Returns:
        Lines to print: a summary, and the damaged matrices that were set aside. ``None`` if the run was not over a
        variant.

    Raises:
        EngineError: The engine does not answer.
    """
    recorded = journal.recorded(_KIND)
    variant = journal.read_record(_KIND, recorded[0], VariantRef) if recorded else None
    if variant is None:
        return None
    column = Variant(variant.name, variant.title, _build_cells(journal))
    release = _newest_release(engine, variant.of)
    with chain_lock(variant.of, "matrix"):
        damaged = list(set_damaged_aside(state_folder(variant.of)))
        same_release = [matrix for matrix in saved_matrices(state_folder(variant.of)) if matrix.release == release][-1:]
        columns = {earlier.name: earlier for matrix in same_release for earlier in matrix.variants}
        columns[column.name] = _with_times(column, columns.get(column.name))
        keeps_time = same_release and release is None
        made = same_release[0].made if keeps_time else datetime.now(UTC).isoformat(timespec="seconds")
        save_matrix(state_folder(variant.of), Matrix(SCHEMA, variant.of, release, made, list(columns.values())))
    passed = sum(cell.state is CellState.PASSED for cell in column.tiers)
    result = f"{passed} of {len(column.tiers)} tiers passed"
    line = f"variant {variant.title} of chain {variant.of}: {result}; `tierwright matrix {variant.of}` shows all"
    return "\n".join([*damaged, line])


def _with_times(column: Variant, before: Variant | None) -> Variant:
    """Give each kept image the time of its build, from the earlier column."""
    times = {cell.image: cell.seconds for cell in (before.tiers if before else [])}
    tiers = [
        msgspec.structs.replace(cell, seconds=times.get(cell.image)) if cell.image and cell.seconds is None else cell
        for cell in column.tiers
    ]
    return msgspec.structs.replace(column, tiers=tiers)


def _newest_release(engine: Engine, chain: str) -> str | None:
    """Find the newest release of a chain, in the repositories of its status. Without a status, its label decides."""
    labelled = engine.images.labelled(f"{CHAIN}={chain}")
    try:
        repositories = {standing.release.rpartition(":")[0] for standing in read_status(chain).values()}
    except DamagedError:
        repositories = set()
    releases = {
        tag
        for repository, named in engine.images.snapshot().names.items()
        for tag, image in named.items()
        if tags.is_release(tag) and (repository in repositories if repositories else image in labelled)
    }
    return max(releases, default=None)


def _build_cells(journal: Journal) -> list[Cell]:
    chain, planned = read_plans(journal)
    cells: dict[str, Cell] = {}
    for tier in chain:
        if planned[tier.name].action is not Action.LEAVE:
            cells[tier.name] = _build_cell(journal, planned[tier.name], cells.get(tier.parent or ""))
    return list(cells.values())


def _build_cell(journal: Journal, planned: Planned, parent_cell: Cell | None) -> Cell:
    name, outcome = planned.tier.name, journal.outcome(planned.tier.name)
    tested = read_tested(journal, name)
    rejected = tested if tested is not None and not tested.passed else None
    image_id = outcome.image if outcome else planned.image
    if image_id is not None and rejected is None:
        return Cell(name, CellState.PASSED, image=image_id, seconds=build_seconds(journal, name))
    reason = (outcome.reason if outcome else "") or "the run ended before it was built"
    parent_failed = parent_cell is not None and parent_cell.state is not CellState.PASSED
    if rejected is None and (outcome is None or parent_failed):
        return Cell(name, CellState.NOT_REACHED, message=reason)
    first = next(iter(rejected.failed if rejected else ()), None)
    return Cell(
        tier=name,
        state=CellState.FAILED,
        test=first.test if first else None,
        message=first.message if first else reason,
        image=tested.image if tested else None,
        seconds=build_seconds(journal, name),
    )
