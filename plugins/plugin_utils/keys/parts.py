# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The build key: one digest over everything that decides what a tier contains.

A key is made of named parts (``parent``, ``role/tasks/main.yml``, ``variable/httpd_php_port`` …), each with a short
digest. The parts are stored with the image, so that two keys can be compared and the difference told in words. What
is short and no secret (:data:`PLAIN`) stands there as it is.
"""

from __future__ import annotations

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
