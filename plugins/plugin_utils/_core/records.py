# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""Records as JSON: writes dataclasses and named tuples, and reads them back with a check of their types.

msgspec converts records to built-in values and back. Python's ``json`` writes and reads the text, because paths can
contain bytes that are not UTF-8. It writes such a byte as ``\udcff`` (PEP 383), which ``msgspec.json`` rejects.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

import msgspec

RecordT = TypeVar("RecordT")

#: No integer with more digits is read. A float cannot represent it, and msgspec before 0.22 fails with a SystemError.
_MAX_DIGITS = 300


def encode(record: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return a record as JSON: a dataclass, a named tuple, or a dictionary or list of these.

    Args:
        record: The record. Its dictionaries have texts as keys.
        indent: Spaces for each level; ``None`` writes one line.
        sort_keys: Whether keys are sorted. Otherwise, they have the order of the fields.

    Raises:
        ValueError: A number is not finite. JSON has no such numbers.
        TypeError: A value has a type that JSON cannot represent.
    """
    values = msgspec.to_builtins(record, enc_hook=_plain)
    return json.dumps(values, indent=indent, sort_keys=sort_keys, allow_nan=False)


def decode(text: str | bytes, kind: type[RecordT], *, exact: bool = False) -> RecordT:
    """Read a record from JSON. Nothing is converted: ``"1"`` and ``true`` are not integers.

    Args:
        text: The JSON document. If an object has a key twice, the last value counts.
        kind: The class of the record, or a type such as ``dict[str, Record]``.
        exact: Whether fields that the class does not have are an error. Otherwise, they are ignored.

    Raises:
        ValueError: The text is not JSON, or has a different form: ``Expected `str`, got `int` - at `$.tiers[0]```.
    """
    try:
        values = json.loads(text, parse_int=_read_int, parse_float=_read_float, parse_constant=_read_float)
        record = msgspec.convert(values, kind)
    except msgspec.MsgspecError as error:  # it is a ValueError only in new versions
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error
    if exact:
        _reject_unknown(values, msgspec.to_builtins(record), "$")
    return record


def _plain(value: Any) -> Any:
    """Return the plain value of an instance of a subclass. Ansible marks the origin of values by such classes."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{value!r} cannot be written as JSON")


def _read_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"Expected an integer of at most {_MAX_DIGITS} digits, got {len(text)}")
    return int(text)


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"Expected a finite number, got `{text}`")
    return number


def _reject_unknown(given: Any, known: Any, place: str) -> None:
    """Compare what was given with the values of the record that was read from it."""
    if isinstance(given, dict):
        for key, value in given.items():
            if key not in known:
                raise ValueError(f"Object contains unknown field `{key}` - at `{place}`")
            _reject_unknown(value, known[key], f"{place}.{key}")
    elif isinstance(given, list):
        for number, (value, known_value) in enumerate(zip(given, known, strict=True)):
            _reject_unknown(value, known_value, f"{place}[{number}]")
