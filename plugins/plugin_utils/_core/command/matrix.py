# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright matrix``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..compatibility.matrix_store import has_matrices, newest_matrix
from ..compatibility.variant_matrix import Cell, CellChange, CellState, Changes, Matrix, compare
from ..errors import NotFoundError, UsageError
from ..state.journal import chains, state_folder
from ..text import one_line
from .output import Table, json_option, show

_FAILED = 1
#: Stands for a tier without a result on a variant.
_NO_RESULT = "-"


@click.command()
@click.argument("chain", required=False)
@click.option("--changes", "only_changes", is_flag=True, help="Show only what changed since the release before.")
@click.option("--fail", is_flag=True, help="Exit with 1 if a tier does not pass on every variant.")
@json_option
def verb(chain: str | None, *, only_changes: bool, fail: bool, as_json: bool) -> None:
    """Show which tier of CHAIN passes its tests on which variant of the tiers below it, and what changed.

    The results are those of the newest compatibility run on this machine. You can omit CHAIN if only one chain has
    results.
    """
    matrix, before = newest_matrix(state_folder(chain or _only_chain()))
    changes = compare(before, matrix)
    if only_changes:
        show(changes, lambda: _render_changes(changes), as_json=as_json)
    else:
        show(matrix, lambda: _render(matrix, changes), as_json=as_json)
    if fail and not matrix.passed:
        click.get_current_context().exit(_FAILED)


def _only_chain() -> str:
    names = [name for name in chains() if has_matrices(state_folder(name))]
    if not names:
        raise NotFoundError("this machine has no compatibility matrix of any chain; `make compatibility` makes one")
    if len(names) > 1:
        raise UsageError(f"there are compatibility matrices of several chains; name one of {', '.join(names)}")
    return names[0]


def _render(matrix: Matrix, changes: Changes) -> Iterator[str | Table]:
    yield f"{matrix.chain}, {matrix.release or 'not released'}, made {matrix.made}"
    yield ""
    heads = ["TIER", *(variant.title for variant in matrix.variants)]
    rows = [[tier, *(_format_state(variant.cell(tier)) for variant in matrix.variants)] for tier in matrix.tiers]
    yield Table(heads, rows)
    failures = list(_failures(matrix))
    if failures:
        yield ""
        yield from failures
    yield ""
    yield from _render_changes(changes)


def _format_state(cell: Cell | None) -> str:
    if cell is None:
        return _NO_RESULT
    return "FAILED" if cell.state is CellState.FAILED else cell.state


def _failures(matrix: Matrix) -> Iterator[str]:
    for variant in matrix.variants:
        for cell in variant.tiers:
            if cell.state is CellState.FAILED:
                message = f": {one_line(cell.message, 200)}" if cell.message else ""
                yield f"{cell.tier} failed on {variant.title}, {cell.test or 'before its tests'}{message}"


def _render_changes(changes: Changes) -> Iterator[str]:
    if changes.before is None:
        yield "there is no earlier matrix here to compare it with"
    elif not changes.changes:
        yield f"nothing changed since {changes.before}"
    else:
        yield f"since {changes.before}:"
        yield from (f"  {_format_change(change)}" for change in changes.changes)


def _format_change(change: CellChange) -> str:
    before, after = change.before or _NO_RESULT, change.after or _NO_RESULT
    return f"{change.tier} on {change.variant}: {before} -> {after}" + (f", {change.test}" if change.test else "")
