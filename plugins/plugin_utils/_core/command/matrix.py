# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright matrix``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..compatibility.matrix_store import is_kept, newest_matrix
from ..compatibility.variant_matrix import Cell, CellChange, CellState, Changes, Matrix, compare
from ..errors import NotFoundError, UsageError
from ..state.journal import chains, state_folder
from ..text import one_line
from .output import Table, json_option, show

_FAILED = 1
_NOT_ASKED = "-"


@click.command()
@click.argument("chain", required=False)
@click.option("--changes", "only_changes", is_flag=True, help="Only what changed since the release before.")
@click.option("--fail", is_flag=True, help="Exit with 1 if a tier does not pass on every variant.")
@json_option
def verb(chain: str | None, *, only_changes: bool, fail: bool, as_json: bool) -> None:
    """Show which tier of CHAIN passes its tests on which variant of the tiers below it, and what changed.

    It is what the newest compatibility run here found. CHAIN can be left out where there is one only.
    """
    matrix, before = newest_matrix(state_folder(chain or _only()))
    changes = compare(before, matrix)
    if only_changes:
        show(changes, lambda: _changed(changes), as_json=as_json)
    else:
        show(matrix, lambda: _drawn(matrix, changes), as_json=as_json)
    if fail and not matrix.passed:
        click.get_current_context().exit(_FAILED)


def _only() -> str:
    known = [name for name in chains() if is_kept(state_folder(name))]
    if not known:
        raise NotFoundError("no compatibility matrix of any chain is kept here; `make compatibility` makes one")
    if len(known) > 1:
        raise UsageError(f"there are matrices of several chains; name one of {', '.join(known)}")
    return known[0]


def _drawn(matrix: Matrix, changes: Changes) -> Iterator[str | Table]:
    yield f"{matrix.chain}, {matrix.release or 'not released'}, made {matrix.made}"
    yield ""
    heads = ["TIER", *(variant.title for variant in matrix.variants)]
    yield Table(heads, [[tier, *(_state(each.cell(tier)) for each in matrix.variants)] for tier in matrix.tiers])
    failures = list(_failures(matrix))
    if failures:
        yield ""
        yield from failures
    yield ""
    yield from _changed(changes)


def _state(cell: Cell | None) -> str:
    if cell is None:
        return _NOT_ASKED
    return "FAILED" if cell.state is CellState.FAILED else cell.state


def _failures(matrix: Matrix) -> Iterator[str]:
    for variant in matrix.variants:
        for cell in variant.tiers:
            if cell.state is CellState.FAILED:
                said = f": {one_line(cell.message, 200)}" if cell.message else ""
                yield f"{cell.tier} failed on {variant.title}, {cell.test or 'before its tests'}{said}"


def _changed(changes: Changes) -> Iterator[str]:
    if changes.before is None:
        yield "there is none before it here to compare it with"
    elif not changes.changes:
        yield f"nothing changed since {changes.before}"
    else:
        yield f"since {changes.before}:"
        yield from (f"  {_change(each)}" for each in changes.changes)


def _change(change: CellChange) -> str:
    was, now = change.before or _NOT_ASKED, change.after or _NOT_ASKED
    return f"{change.tier} on {change.variant}: {was} -> {now}" + (f", {change.test}" if change.test else "")
