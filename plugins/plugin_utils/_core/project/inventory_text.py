# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adds a tier to the text of an inventory in YAML. Every other byte stays: comments, quotes, order and indentation.

The parser tells where a group's hosts are in the text, and the new lines are inserted there. Afterwards the text is
read again: it must say what it said before, and the new tier.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from ..chain.tier_names import GROUP
from ..errors import UsageError
from ..text_templates import yaml_word
from .outline import NewTier, role_of

_STEP = 2


class _InventoryLoader(yaml.SafeLoader):
    """Reads an inventory. Values with tags of Ansible, such as ``!vault``, are kept as their text."""


def _keep(loader: _InventoryLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else str(node.value)


_InventoryLoader.add_multi_constructor("!", _keep)


class ListedTier(msgspec.Struct, frozen=True):
    """A host of an inventory file, below the group ``tiers``."""

    name: str
    team: str
    variables: dict[str, Any]


def read_inventory_text(text: str) -> Any:
    """Read the text of an inventory.

    Raises:
        UsageError: It is not YAML.
    """
    try:
        return yaml.load(text, _InventoryLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"it is not YAML: {' '.join(str(error).split())}") from error


def list_tiers(content: Any) -> list[ListedTier]:
    """Return the tiers in the content of an inventory, in their order. Of other content, none."""
    return list(_walk(GROUP, _group_of_tiers(content)))


def add_tier(text: str, tier: NewTier) -> str:
    """Add a tier to the text of an inventory, at the end of the hosts of its team.

    Args:
        text: The text, which has the group ``tiers``.
        tier: The tier. If its team has no group yet, the group is added at the end of the teams.

    Raises:
        UsageError: The text is written in a way that cannot be extended without a change of other lines.
    """
    wanted = _unshared(read_inventory_text(text))
    group = _group_of_tiers(wanted)
    for name in ("children", tier.team, "hosts"):
        group[name] = group.get(name) or {}
        group = group[name]
        if not isinstance(group, dict):
            raise UsageError(f"{name!r} has no entries of its own; add there: {_one_line(tier)}")
    group[tier.name] = _variables(tier)
    after = _insert(text, tier)
    try:
        is_right = read_inventory_text(after) == wanted
    except UsageError:
        is_right = False
    if not is_right:
        raise UsageError(f"it is written in a way that `new tier` cannot extend; add there: {_one_line(tier)}")
    return after


def _unshared(value: Any) -> Any:
    """Copy a value, and what several names share (an alias of YAML) several times."""
    if isinstance(value, dict):
        return {name: _unshared(each) for name, each in value.items()}
    return [_unshared(each) for each in value] if isinstance(value, list) else value


def _variables(tier: NewTier) -> dict[str, str]:
    role = {} if tier.role == role_of(tier.name) else {"tier_role": tier.role}
    return {"tier_parent": tier.parent, **role}


def _one_line(tier: NewTier) -> str:
    variables = ", ".join(f"{name}: {yaml_word(value)}" for name, value in _variables(tier).items())
    return f"{yaml_word(tier.name)}: {{{variables}}}"


def _group_of_tiers(content: Any) -> dict[str, Any]:
    groups = content if isinstance(content, dict) else {}
    if GROUP in groups:
        return groups[GROUP] if isinstance(groups[GROUP], dict) else {}
    top = groups.get("all")
    children = top.get("children") if isinstance(top, dict) else None
    found = children.get(GROUP) if isinstance(children, dict) else None
    return found if isinstance(found, dict) else {}


def _walk(name: str, group: Any) -> Iterator[ListedTier]:
    if not isinstance(group, dict):
        return
    for host, variables in (group.get("hosts") or {}).items():
        yield ListedTier(str(host), name, variables if isinstance(variables, dict) else {})
    for child, content in (group.get("children") or {}).items():
        yield from _walk(str(child), content)


def _insert(text: str, tier: NewTier) -> str:
    """Insert the tier where its team's hosts end. The caller checks the result."""
    root = yaml.compose(text, _InventoryLoader)
    tiers = _value(root, GROUP) or _value(_value(_value(root, "all"), "children"), GROUP)
    if tiers is None:
        raise UsageError(f"it has no group {GROUP!r}")
    path = ["children", tier.team, "hosts"]
    node, depth = tiers, 0
    while depth < len(path) and isinstance(_value(node, path[depth]), yaml.MappingNode):
        node = _value(node, path[depth])
        depth += 1
    if node.flow_style:
        return _insert_flow(text, node, path[depth:], tier)
    return _insert_block(text, node, path[depth:], tier)


def _value(node: Any, key: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _insert_flow(text: str, node: yaml.MappingNode, missing: list[str], tier: NewTier) -> str:
    entry = _one_line(tier)
    for name in reversed(missing):
        entry = f"{yaml_word(name)}: {{{entry}}}"
    if any(key.value == missing[0] for key, _value in node.value) if missing else False:
        raise UsageError(f"{missing[0]!r} has no entries there; add: {entry}")
    end = node.end_mark.index - 1  # before the closing brace
    head = text[:end].rstrip(" ")
    return f"{head}{', ' if node.value else ''}{entry}{text[len(head) : end] if node.value else ''}{text[end:]}"


def _insert_block(text: str, node: yaml.MappingNode, missing: list[str], tier: NewTier) -> str:
    """Insert lines below the last entry of a mapping, or below an entry without a value."""
    column = node.start_mark.column
    empty = next((key for key, _value in node.value if missing and key.value == missing[0]), None)
    step = _step(node, column)
    if empty is not None:  # `hosts:` without hosts
        place, missing, column = _end_of_line(text, empty.end_mark.index), missing[1:], column + step
    else:
        place = _end_of_line(text, _last_index(node))
    lines = []
    for name in missing:
        lines.append(f"{' ' * column}{yaml_word(name)}:")
        column += step
    lines.append(f"{' ' * column}{yaml_word(tier.name)}:")
    lines += [f"{' ' * (column + step)}{name}: {yaml_word(value)}" for name, value in _variables(tier).items()]
    newline = "\r\n" if "\r\n" in text else "\n"
    head = text[:place] if text[:place].endswith("\n") else text[:place] + newline
    return head + newline.join(lines) + newline + text[place:]


def _step(node: yaml.MappingNode, column: int) -> int:
    """Return how far the text indents the entries of a mapping inside this one."""
    columns = [value.start_mark.column for _key, value in node.value if _is_block(value)]
    return next((each - column for each in columns if each > column), _STEP)


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style


def _last_index(node: yaml.Node) -> int:
    """Return the index of the last character that belongs to a node. The end mark of a block is after its comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_index(last[1] if isinstance(last, tuple) else last)
    if isinstance(node, yaml.ScalarNode) and not node.value and node.style is None:
        return int(node.start_mark.index)  # no value: the position behind the colon
    return int(node.end_mark.index)


def _end_of_line(text: str, index: int) -> int:
    """Return the index behind the line of an index. A block scalar ends at the beginning of a line."""
    if index and text[index - 1 : index] == "\n":
        return index
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1
