# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright diff``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import one_line
from ..transports.image import open_stack
from ..views.change_lines import format_package, format_setting
from ..views.comparison import Diff, FileChange, compare
from .output import Table, json_option, show

_SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_MANY = 40
_DIFFERENT = 1


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--all-files", is_flag=True, help=f"List all files, not only {_MANY} of each tier.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the images differ.")
@json_option
def verb(before: str, after: str, *, all_files: bool, exit_code: bool, as_json: bool) -> None:
    """Show the differences between the images A and B, grouped by the tier that causes them.

    The command compares packages, files (content, mode, owner), configuration, environment and labels. It ignores the
    times of files.
    """
    store = Store()
    answer = compare(open_stack(before, store), open_stack(after, store))
    show(answer, lambda: _render(answer, all_files=all_files), as_json=as_json)
    if exit_code and not answer.is_empty:
        click.get_current_context().exit(_DIFFERENT)


def _render(answer: Diff, *, all_files: bool) -> Iterator[str | Table]:
    if answer.is_empty:
        yield "no difference"
    for tier in answer.tiers:
        yield f"{one_line(tier.called)}{f' (team {tier.team})' if tier.team else ''}:"
        yield from (f"  package {format_package(change)}" for change in tier.packages)
        shown = tier.files if all_files else tier.files[:_MANY]
        yield from (f"  {_format_file(change)}" for change in shown)
        if len(shown) < len(tier.files):
            yield f"  … and {len(tier.files) - len(shown)} more files; --all-files lists them"
    for title, settings in (("config", answer.config), ("environment", answer.environment), ("labels", answer.labels)):
        if settings:
            yield f"{title}:"
            yield from (f"  {format_setting(setting)}" for setting in settings)
    yield from answer.unread


def _format_file(change: FileChange) -> str:
    line = f"{_SIGNS[change.change]} /{change.path}"
    if change.what and change.before and change.after:
        details = {
            "mode": f"mode {change.before.mode} -> {change.after.mode}",
            "owner": f"owner {change.before.uid}:{change.before.gid} -> {change.after.uid}:{change.after.gid}",
            "target": f"target {change.before.target} -> {change.after.target}",
            "type": f"{change.before.kind} -> {change.after.kind}",
        }
        line += f"  ({', '.join(details.get(what, what) for what in change.what)})"
    return line
