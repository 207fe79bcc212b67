# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build made and its layer does not hold, told in lines for people.

The lines do not get into the image: what a program leaves in ``/tmp`` has another name each time, and the same inputs
must give the same image. They are remembered on the machine that built the layer (:mod:`.memory`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import memory
from .entry import Entry, Kind, shown
from .tasks import Timeline

_KIND = "left-out"

#: Paths that are named of one kind.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One path that a layer does not hold."""

    entry: Entry
    #: What it is.
    why: str
    #: What to do where it is missed; empty where any build leaves it behind.
    advice: str


def lines(
    left_out: Iterable[LeftOut], timeline: Timeline, referring: Mapping[bytes, bytes] | None = None
) -> Iterator[str]:
    """Tell what was left out: what somebody may miss by name, the rest by number.

    Args:
        left_out: All of it.
        timeline: The tasks of the build.
        referring: By a path that was left out, one in the layer that refers to it.
    """
    kinds: dict[tuple[str, str], list[Entry]] = {}
    for each in sorted(left_out, key=lambda each: each.entry.path):
        # A folder says nothing that what is in it does not, unless something refers to it.
        if each.entry.kind is not Kind.DIRECTORY or each.entry.path in (referring or {}):
            kinds.setdefault((each.why, each.advice), []).append(each.entry)
    for (why, advice), entries in kinds.items():
        if advice:
            # What something in the image refers to is named first.
            ordered = sorted(entries, key=lambda entry: entry.path not in (referring or {}))
            yield f"left out: {_named(ordered, timeline, referring or {})} ({why}); {advice}"
    usual = sum(len(entries) for (_why, advice), entries in kinds.items() if not advice)
    if usual:
        yield f"left out: {usual} {'files' if usual > 1 else 'file'} that any build leaves behind (docs/sealing.md)"


def remember(layer: str, told: Sequence[str]) -> None:
    """Remember the lines of a layer that was just sealed."""
    if told:
        memory.remember(layer, _KIND, list(told))


def recall(layer: str) -> list[str]:
    """Give the lines of a layer; none where this machine has not built it."""
    told = memory.recall(layer, _KIND)
    return [str(each) for each in told] if isinstance(told, list) else []


def _named(entries: Sequence[Entry], timeline: Timeline, referring: Mapping[bytes, bytes]) -> str:
    told = []
    for entry in entries[:_SHOWN]:
        task = timeline.at(entry)
        by = f" by {task}" if task and task.role else ""
        referrer = referring.get(entry.path)
        told.append(f"/{shown(entry.path)}{by}" + (f", to which /{shown(referrer)} refers" if referrer else ""))
    rest = len(entries) - len(told)
    return ", ".join(told) + (f" and {rest} more" if rest else "")
