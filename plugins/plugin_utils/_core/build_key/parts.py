# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The build key and its parts, and digests of variables.

The build key is the digest of everything that decides the content of a tier. It consists of named parts (``parent``,
``role/tasks/main.yml``, ``variable/httpd_php_port`` …), each with a short digest. The image stores the parts, so that
two keys can be compared and the differences described. Short values that are not secret (:data:`PLAIN`) are stored
without a digest.

The sources that a role uses (environment variables, files, variables of other hosts) are known only after it was
applied, like the headers of a C file. So the image stores their names as key parts ``<kind>/<name>``, and the next plan
checks the same sources.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping

#: Part name to digest.
Parts = Mapping[str, str]

#: Parts that are stored as plain values, so that a difference can show the old and the new value.
PLAIN = frozenset({"ansible-core", "epoch", "inputs-pin", "team"})

_PLAIN_LENGTH = 64

#: Version of the build procedure. Increase it if this collection makes a different image from the same parts.
RECIPE = "3"


def digest_bytes(data: bytes) -> str:
    """Return the digest of one part: 32 hexadecimal digits, which are enough to detect changes."""
    return hashlib.sha256(data).hexdigest()[:32]


def plain(text: str) -> str:
    """Return the value of a part that is stored without a digest. A long text is still digested."""
    return text if len(text) <= _PLAIN_LENGTH else digest_bytes(text.encode(errors="surrogateescape"))


def digest_key(parts: Parts) -> str:
    """Return the build key: a digest of all parts (64 hexadecimal digits). The order of ``parts`` does not matter."""
    text = json.dumps({"recipe": RECIPE, **parts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def content_tag(key: str) -> str:
    """Return the content tag of a key: ``key-`` and its first 16 digits."""
    return f"key-{key[:16]}"


# From the stored digest, a short secret could be guessed. With scrypt, each guess costs about 50 ms and 16 MiB.
_WORK_FACTOR = 2**14


def digest_value(name: str, value: object, *, secret: bool) -> str:
    """Digest the value of a variable.

    Args:
        name: The variable. It is the salt for the digest of a secret.
        value: The value. Objects that JSON cannot represent are converted to text.
        secret: Whether the value is secret, so that its digest must be slow to guess.
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
#: An environment variable of the controller.
ENVIRONMENT = "environment"
#: A source that a module downloads, named by the module. It is reported if the tier does not declare it.
FETCHED = "fetched"
#: A variable of a different host, ``<host>/<name>``.
HOSTVARS = "hostvars"
#: A variable that is part of the key only if a role reads it, for example one that Ansible sets.
MAGIC = "magic"
#: A setting of Ansible that was read with the lookup ``config``.
SETTING = "setting"
#: A source whose changes cannot be detected. The plan and the image only name it.
UNSEEN = "unseen"

_KINDS = frozenset({COLLECTION, ELSEWHERE, ENVIRONMENT, HOSTVARS, MAGIC, SETTING, UNSEEN})

#: Used as the digest of such a source.
NOT_LOOKED_AT = "not looked at"


def part(kind: str, name: str) -> str:
    """Return the name of the key part for a source that a role used."""
    return f"{kind}/{name}"


def recorded_parts(parts: Parts) -> tuple[str, ...]:
    """Return the names of the parts that were recorded while the role was applied, sorted."""
    return tuple(sorted(name for name in parts if name.partition("/")[0] in _KINDS))


def unseen(parts: Parts) -> tuple[str, ...]:
    """Return descriptions of the sources that a role used and that are not looked at, sorted."""
    return tuple(sorted(name.partition("/")[2] for name in parts if name.startswith(f"{UNSEEN}/")))
