# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Descriptions of the differences between two build keys: the reasons why a tier is rebuilt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .file_digests import LISTING, ROLE
from .parts import HOSTVARS, PLAIN, Parts

#: Kind of a part to its name in descriptions, if that is different.
_KIND_NAMES = {
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

#: Kind of a part to its singular and plural in descriptions.
_COUNTED_NAMES = {
    "after": ("file of tier_after", "files of tier_after"),
    "before": ("file of tier_before", "files of tier_before"),
    "elsewhere": ("file", "files"),
    "input": ("outside input", "outside inputs"),
    "role": ("file of role {}", "files of role {}"),
    "variable": ("variable", "variables"),
}


def differences(before: Parts, now: Parts, *, parent: str | None = None, most: int | None = None) -> Iterator[str]:
    """Yield a line for each difference between two keys, sorted: ``role web/tasks/main.yml changed``.

    Args:
        before: The parts of the old key.
        now: The parts of the new key.
        parent: Name of the parent tier, for the part ``parent``.
        most: Maximum number of lines. If there are more differences, the last line contains their number. ``None``
            means no limit.
    """
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    shown = names if most is None or len(names) <= most else names[: most - 1]
    for name in shown:
        yield _describe(name, before.get(name), now.get(name), parent)
    if rest := names[len(shown) :]:
        counted = Counter(_group(name) for name in rest)
        yield "and " + ", ".join(_count(group, number) for group, number in counted.items())


def _describe(name: str, before: str | None, now: str | None, parent: str | None) -> str:
    what = _name_part(name, parent)
    if name == "parent" and before is not None and now is not None:
        return f"{what} is a different image"
    if name in PLAIN:
        return _describe_plain(what, before, now)
    if before is None:
        return f"{what} is new"
    return f"{what} was removed" if now is None else f"{what} changed"


def _describe_plain(what: str, before: str | None, now: str | None) -> str:
    if before is None:
        return f"{what} is now {now}"
    return f"{what} {before} was removed" if now is None else f"{what} changed from {before} to {now}"


def _name_part(name: str, parent: str | None) -> str:
    kind, _, rest = name.partition("/")
    if kind == "parent" and parent:
        rest = parent
    if kind == "elsewhere" and rest.endswith(ROLE):
        return f"role {rest.removesuffix(ROLE)}"
    if kind == "elsewhere" and rest.endswith(LISTING):
        return f"list of files in folder {rest.removesuffix(LISTING)}"
    if kind == HOSTVARS:
        host, _, name = rest.partition("/")
        return f"variable {name} of {host}"
    kind_name = _KIND_NAMES.get(kind, kind)
    return f"{kind_name} {rest}" if rest else kind_name


def _group(name: str) -> tuple[str, str]:
    kind, _, rest = name.partition("/")
    return kind, rest.partition("/")[0] if kind == "role" else ""


def _count(group: tuple[str, str], number: int) -> str:
    kind, role = group
    singular, plural = _COUNTED_NAMES.get(kind, ("other difference", "other differences"))
    return f"{number} more {(singular if number == 1 else plural).format(role)}"
