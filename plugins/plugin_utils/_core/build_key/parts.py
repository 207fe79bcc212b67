# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The build key: its parts, digests of values, what was learned.

The build key: one digest over everything that decides what a tier contains.

A key is made of named parts (``parent``, ``role/tasks/main.yml``, ``variable/httpd_php_port`` …), each with a short
digest. The parts are stored with the image, so that two keys can be compared and the difference told in words. What
is short and no secret (:data:`PLAIN`) stands there as it is.

Digests of variables' values, without giving secrets away.

What a role was found to use while it was applied, as parts of the build key.

No reading of a role tells which environment variables, files or variables of other hosts it uses, as no reading of a
C file tells its headers. So the image keeps the names, ``<kind>/<name>``, and the next plan looks at the same ones.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping

#: Part name to digest.
Parts = Mapping[str, str]

#: Parts whose value is kept as it is, so that a difference can say from what to what.
PLAIN = frozenset({"ansible-core", "epoch", "inputs-pin", "team"})

_PLAIN_LENGTH = 64

#: Raised by one whenever this collection would make another image out of the same parts.
RECIPE = "3"


def digest_bytes(data: bytes) -> str:
    """Digest of one part's content: 32 hexadecimal digits, enough to tell changes apart and to read."""
    return hashlib.sha256(data).hexdigest()[:32]


def plain(text: str) -> str:
    """Value of a part that is kept as it is; a long text is digested all the same."""
    return text if len(text) <= _PLAIN_LENGTH else digest_bytes(text.encode(errors="surrogateescape"))


def digest_key(parts: Parts) -> str:
    """Digest of all parts: 64 hexadecimal digits, independent of the order of ``parts``."""
    text = json.dumps({"recipe": RECIPE, **parts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def content_tag(key: str) -> str:
    """Tag that names an image by its key: ``key-`` and the first 16 digits."""
    return f"key-{key[:16]}"


# A stored digest of a short secret could be guessed by trying; scrypt makes each try cost about 50 ms and 16 MiB.
_WORK_FACTOR = 2**14


def digest_value(name: str, value: object, *, secret: bool) -> str:
    """Digest a variable's value.

    Args:
        name: The variable, which salts the digest of a secret.
        value: What JSON can hold; anything else counts by its text.
        secret: Whether the digest must be slow to guess.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
    if not secret:
        return digest_bytes(text)
    return _slow_digest(name, text)


@functools.cache  # a team's secret is the same for each of its tiers
def _slow_digest(name: str, text: bytes) -> str:
    return hashlib.scrypt(text, salt=f"tierwright/{name}".encode(), n=_WORK_FACTOR, r=8, p=1, dklen=16).hex()


#: A collection whose plugins were used, by its name.
COLLECTION = "collection"
#: A file or a folder outside of the role.
ELSEWHERE = "elsewhere"
#: A variable of the controller's environment.
ENVIRONMENT = "environment"
#: Something that a module fetches, by the module; told where the tier does not declare it.
FETCHED = "fetched"
#: Another host's variable, ``<host>/<name>``.
HOSTVARS = "hostvars"
#: A variable that Ansible sets, or that is left out of the key unless a role reads it.
MAGIC = "magic"
#: A setting of Ansible that the lookup ``config`` read.
SETTING = "setting"
#: Something that nobody looks at; it is only named, in the plan and with the image.
UNSEEN = "unseen"

_KINDS = frozenset({COLLECTION, ELSEWHERE, ENVIRONMENT, HOSTVARS, MAGIC, SETTING, UNSEEN})

#: The "digest" of what nobody looks at.
NOT_LOOKED_AT = "not looked at"


def part(kind: str, name: str) -> str:
    """Name of the key's part for something that a role used."""
    return f"{kind}/{name}"


def learned(parts: Parts) -> tuple[str, ...]:
    """Names of those parts of a key that were found while the role was applied, sorted."""
    return tuple(sorted(name for name in parts if name.partition("/")[0] in _KINDS))


def unseen(parts: Parts) -> tuple[str, ...]:
    """What a role used and nobody looks at, in words, sorted."""
    return tuple(sorted(name.partition("/")[2] for name in parts if name.startswith(f"{UNSEEN}/")))
