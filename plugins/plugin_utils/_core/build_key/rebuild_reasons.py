# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What differs between two build keys, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .file_digests import LISTING, ROLE
from .parts import HOSTVARS, PLAIN, Parts

#: Kind of a part to what it is called, where that is another word.
_WORDS = {
    "after": "tier_after",
    "before": "tier_before",
    "config": "setting of Ansible",
    "elsewhere": "file",
    "environment": "environment variable",
    "epoch": "tier_epoch",
    "input": "outside input",
    "inputs-pin": "tier_inputs_pin",
    "magic": "variable",
    "setting": "setting of Ansible",
    "source": "source of the base",
    "tags": "choice of --tags and --skip-tags",
    "unseen": "use of",
}

#: Kind of a part to what one and several of them are called.
_COUNTED = {
    "after": ("file of tier_after", "files of tier_after"),
    "before": ("file of tier_before", "files of tier_before"),
    "elsewhere": ("file", "files"),
    "input": ("outside input", "outside inputs"),
    "role": ("file of role {}", "files of role {}"),
    "variable": ("variable", "variables"),
}


def differences(before: Parts, now: Parts, *, parent: str | None = None, most: int | None = None) -> Iterator[str]:
    """Yield in words what differs between two keys, sorted: ``role web/tasks/main.yml changed``.

    Args:
        before: The parts of one key.
        now: The parts of the other.
        parent: Name of the tier that the part ``parent`` stands for.
        most: Number of lines at most; where there are more, the last one counts the others. ``None`` tells all.
    """
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    told = names if most is None or len(names) <= most else names[: most - 1]
    for name in told:
        yield _tell(name, before.get(name), now.get(name), parent)
    if rest := names[len(told) :]:
        counted = Counter(_group(name) for name in rest)
        yield "and " + ", ".join(_count(group, number) for group, number in counted.items())


def _tell(name: str, before: str | None, now: str | None, parent: str | None) -> str:
    what = _what(name, parent)
    if name == "parent" and before is not None and now is not None:
        return f"{what} is another image"
    if name in PLAIN:
        return _tell_plain(what, before, now)
    if before is None:
        return f"{what} is new"
    return f"{what} is gone" if now is None else f"{what} changed"


def _tell_plain(what: str, before: str | None, now: str | None) -> str:
    if before is None:
        return f"{what} is {now} now"
    return f"{what} {before} is gone" if now is None else f"{what} changed from {before} to {now}"


def _what(name: str, parent: str | None) -> str:
    kind, _, rest = name.partition("/")
    if kind == "parent" and parent:
        rest = parent
    if kind == "elsewhere" and rest.endswith(ROLE):
        return f"role {rest.removesuffix(ROLE)}"
    if kind == "elsewhere" and rest.endswith(LISTING):
        return f"what is in folder {rest.removesuffix(LISTING)}"
    if kind == HOSTVARS:
        host, _, name = rest.partition("/")
        return f"variable {name} of {host}"
    word = _WORDS.get(kind, kind)
    return f"{word} {rest}" if rest else word


def _group(name: str) -> tuple[str, str]:
    kind, _, rest = name.partition("/")
    return kind, rest.partition("/")[0] if kind == "role" else ""


def _count(group: tuple[str, str], number: int) -> str:
    kind, of = group
    one, several = _COUNTED.get(kind, ("other difference", "other differences"))
    return f"{number} more {(one if number == 1 else several).format(of)}"
