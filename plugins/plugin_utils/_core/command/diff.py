# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright diff``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import one_line
from ..transports.image import open_stack
from ..views.comparison import Diff, FileChange, SettingChange, compare
from .layers import package
from .output import Table, json_option, show

_SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_MANY = 40
_DIFFERENT = 1


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--all-files", is_flag=True, help=f"Name all files, not only {_MANY} of each tier.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the two differ.")
@json_option
def verb(before: str, after: str, *, all_files: bool, exit_code: bool, as_json: bool) -> None:
    """Show what differs from image A to image B, by the tier that is the cause.

    Packages, files (content, mode, owner), configuration, environment and labels. Times of files do not count.
    """
    store = Store()
    found = compare(open_stack(before, store), open_stack(after, store))
    show(found, lambda: _drawn(found, all_files=all_files), as_json=as_json)
    if exit_code and not found.is_empty:
        click.get_current_context().exit(_DIFFERENT)


def _drawn(found: Diff, *, all_files: bool) -> Iterator[str | Table]:
    if found.is_empty:
        yield "no difference"
    for tier in found.tiers:
        yield f"{one_line(tier.called)}{f' (team {tier.team})' if tier.team else ''}:"
        yield from (f"  package {package(change)}" for change in tier.packages)
        shown = tier.files if all_files else tier.files[:_MANY]
        yield from (f"  {_file(change)}" for change in shown)
        if len(shown) < len(tier.files):
            yield f"  … and {len(tier.files) - len(shown)} more files; --all-files names them"
    for title, settings in (("config", found.config), ("environment", found.environment), ("labels", found.labels)):
        if settings:
            yield f"{title}:"
            yield from (f"  {_setting(setting)}" for setting in settings)
    yield from found.unread


def _file(change: FileChange) -> str:
    line = f"{_SIGNS[change.change]} /{change.path}"
    if change.what and change.before and change.after:
        told = {
            "mode": f"mode {change.before.mode} -> {change.after.mode}",
            "owner": f"owner {change.before.uid}:{change.before.gid} -> {change.after.uid}:{change.after.gid}",
            "target": f"target {change.before.target} -> {change.after.target}",
            "type": f"{change.before.kind} -> {change.after.kind}",
        }
        line += f"  ({', '.join(told.get(what, what) for what in change.what)})"
    return line


def _setting(change: SettingChange) -> str:
    if change.before is None:
        return f"+ {change.name} = {_value(change.after)}"
    if change.after is None:
        return f"- {change.name} = {_value(change.before)}"
    return f"~ {change.name} = {_value(change.before)} -> {_value(change.after)}"


def _value(value: object) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value))
