# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads YAML files of our own strictly: all values are strings, no key occurs twice, and there are no aliases."""

from __future__ import annotations

from typing import Any

import yaml

from .errors import describe_error


class _Loader(yaml.BaseLoader):
    """Reads all values as strings. Keys that occur twice, for example after a wrong merge, are an error."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "it has an alias", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        keys = [self.construct_object(key, deep=True) for key, _value in node.value]
        seen: set[Any] = set()
        for key in keys:
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} occurs twice", node.start_mark)
            seen |= {key} if isinstance(key, str) else set()
        return super().construct_mapping(node, deep=deep)


def read_strict_yaml(content: bytes, largest: int) -> Any:
    """Read a YAML document.

    Args:
        content: Its bytes.
        largest: Limit for their number.

    Returns:
        Dictionaries, lists and strings; ``None`` if the document is empty. An unset value is an empty string.

    Raises:
        ValueError: It is too large, is not YAML, or has an alias or a key that occurs twice.
    """
    if len(content) > largest:
        raise ValueError(f"it is larger than {largest} bytes")
    try:
        loader = _Loader(content)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, TypeError, RecursionError) as error:
        raise ValueError(" ".join(describe_error(error).split())) from error
