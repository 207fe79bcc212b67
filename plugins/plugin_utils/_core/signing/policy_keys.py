# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys in the text of a policy: finds them, shows how to add one, and revokes one.

People write a policy, with comments. So a revocation changes two places of the text, and nothing else. The new text is
parsed again: it must have the same values as before, with the revoked key and the next version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml

from ..errors import NotFoundError, TrustError
from .public_key import PublicKey, read_public_key

_VERSION = re.compile(r"^(version:[ \t]*)([0-9]+)(?=[ \t]*(?:[ \t]#|$))", re.MULTILINE)
#: ``revoked:`` without entries, or followed by them in lines of their own.
_REVOKED = re.compile(r"^revoked:[ \t]*(?P<empty>\{[ \t]*\}|~|null)?[ \t]*(?P<comment>#.*)?$", re.MULTILINE)
_ENTRY = re.compile(r"(?:[ \t]*(?:#.*)?\n)*(?P<indent>[ ]+)\S")
_ID_START = re.compile(r"[0-9a-f]{12,64}", re.ASCII)


class PolicyKey(msgspec.Struct, frozen=True):
    """A key in a policy."""

    #: Where it is: ``teams.operations.keys`` or ``tiers.base.signed_by``.
    place: str
    #: The team, or the tier of a key of others.
    owner: str
    #: The person.
    name: str
    key: PublicKey

    def __str__(self) -> str:
        """Return its owner and its name, as :func:`find_key` takes them."""
        return f"{self.owner}/{self.name}"


def list_keys(text: str, title: str) -> list[PolicyKey]:
    """Return the keys of all teams, and those of others that sign tiers.

    Args:
        text: The text of the policy.
        title: Its name, for messages.

    Raises:
        TrustError: It is not a policy, or a key is damaged.
    """
    return list(_list_keys(_parse(text, title), title))


def find_key(text: str, wanted: str, title: str) -> PolicyKey:
    """Find a key in a policy.

    Args:
        text: The text of the policy.
        wanted: ``TEAM/NAME``, its ID, or at least the first 12 digits of its ID.
        title: Its name, for messages.

    Raises:
        NotFoundError: There is no such key, or there are several.
        TrustError: It is not a policy, or a key is damaged.
    """
    keys = list_keys(text, title)
    by_id = [each for each in keys if _ID_START.fullmatch(wanted) and each.key.id.startswith(wanted)]
    found = by_id or [each for each in keys if str(each) == wanted]
    if len({each.key for each in found}) != 1:
        known = ", ".join(f"{each} ({each.key})" for each in keys) or "none"
        raise NotFoundError(
            f"{title} has {len(found) or 'no'} keys named {wanted!r}; expected a file with a public key, TEAM/NAME or "
            f"an ID; keys are: {known}"
        )
    return found[0]


def add_lines(team: str, name: str, key: PublicKey) -> str:
    """Return the lines of a policy that give a key to a team."""
    pem = "".join(f"        {line}\n" for line in key.pem.splitlines())
    return f"teams:\n  {_scalar(team)}:\n    keys:\n      {_scalar(name)}: |\n{pem}"


def revoke_key(text: str, key: PublicKey, note: str, title: str) -> str:
    """Revoke a key in the text of a policy, and raise the policy's version.

    Args:
        text: The text.
        key: The key.
        note: The day, and why, without control characters: ``2026-11-30 laptop lost``.
        title: The policy's name, for messages.

    Returns:
        The new text. Its signature must be made again.

    Raises:
        TrustError: The key is revoked already, or the text has a form that cannot be changed safely.
    """
    document = _parse(text, title)
    revoked = document.get("revoked") or {}
    if not isinstance(revoked, Mapping):
        raise TrustError(f"{title} is not a policy: revoked is not a dictionary of reasons by ID")
    if key.id in revoked:
        raise TrustError(f"{title} has revoked the key {key} already: {revoked[key.id]}")
    expected = {**document, "revoked": {**revoked, key.id: note}}
    if isinstance(document.get("version"), int):
        expected["version"] = document["version"] + 1
    changed = _VERSION.sub(lambda match: f"{match[1]}{int(match[2]) + 1}", text, count=1)
    changed = _insert(changed if changed.endswith("\n") else f"{changed}\n", f'"{key.id}": {_scalar(note)}')
    try:
        if yaml.safe_load(changed) == expected:
            return changed
    except yaml.YAMLError:
        pass
    raise TrustError(
        f'{title} cannot be changed safely; raise its version, and write below revoked: "{key.id}": {_scalar(note)}'
    )


def _insert(text: str, entry: str) -> str:
    match = _REVOKED.search(text)
    if match is None:
        return f"{text}\nrevoked:\n  {entry}\n"
    following = _ENTRY.match(text, match.end() + 1)
    indent = following["indent"] if following and not match["empty"] else "  "
    comment = f"  {match['comment']}" if match["comment"] else ""
    return f"{text[: match.start()]}revoked:{comment}\n{indent}{entry}{text[match.end() :]}"


def _parse(text: str, title: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TrustError(f"{title} is not a policy: it is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(document, dict) or not isinstance(document.get("teams"), dict):
        raise TrustError(f"{title} is not a policy; expected a dictionary with teams and their keys")
    return document


def _list_keys(document: Mapping[str, Any], title: str) -> Iterator[PolicyKey]:
    for section, field in (("teams", "keys"), ("tiers", "signed_by")):
        owners = document.get(section)
        for owner, rule in owners.items() if isinstance(owners, Mapping) else ():
            keys = rule.get(field) if isinstance(rule, Mapping) else None
            for name, pem in keys.items() if isinstance(keys, Mapping) else ():
                place = f"{section}.{owner}.{field}"
                yield PolicyKey(place, str(owner), str(name), read_public_key(str(pem), f"{title}: {place}.{name}"))


def _scalar(text: str) -> str:
    """Return a text as YAML: as it is if it can only be a string, otherwise in quotes."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", text) and isinstance(yaml.safe_load(text), str)
    return text if plain else json.dumps(text, ensure_ascii=False)
