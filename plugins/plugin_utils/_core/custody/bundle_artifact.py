# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bundle as an artifact in a registry, in the form in which cosign 3 stores it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..chain.names import is_digest
from ..errors import DamagedError
from ..signing.bundle import BUNDLE, LARGEST, read_bundle
from ..signing.statement import Statement, read_statement
from ..transports.manifests import Blob, parse_object
from ..transports.referrers import EMPTY
from ..transports.referrers_writer import Artifact

#: Types under which registries list bundles. cosign 3 writes the type of the configuration into the fallback index.
LISTED_AS = frozenset({BUNDLE, EMPTY, ""})

#: Limit for the size of the manifest of an artifact, in bytes.
LARGEST_MANIFEST = 1 << 20

_CONTENT = "dev.sigstore.bundle.content"
_PREDICATE = "dev.sigstore.bundle.predicateType"
_CREATED = "org.opencontainers.image.created"

#: The time of a statement that has none.
_NO_TIME = "1970-01-01T00:00:00Z"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
#: Where the predicates of this project have their time.
_TIMES = (("runDetails", "metadata", "finishedOn"), ("https://tierwright.github.io/tested-on",), ("created",))


def make_artifact(bundle: bytes, title: str, subject: Mapping[str, Any] | None = None) -> Artifact:
    """Return the artifact of a bundle. Equal bundles are the same artifact: its time is that of the statement.

    Args:
        bundle: The bytes of the bundle.
        title: What it is, for messages.
        subject: The descriptor of the manifest that it refers to; ``None`` for a bundle under a tag of its own.

    Raises:
        DamagedError: It is not a bundle with a statement.
    """
    statement = read_statement(read_bundle(bundle, title).payload, title)
    annotations = {
        _CONTENT: "dsse-envelope",
        _PREDICATE: statement.predicate_type,
        _CREATED: _time(statement),
    }
    return Artifact(BUNDLE, {BUNDLE: bundle}, annotations, subject)


def find_layer(content: bytes, subject: str | None, what: str) -> Blob | None:
    """Find the bundle in the manifest of an artifact.

    Args:
        content: The manifest.
        subject: The digest of the manifest that the artifact must refer to; ``None`` if it must refer to none.
        what: The artifact, for messages.

    Returns:
        The digest and the size of the bundle; ``None`` if the artifact is something else.

    Raises:
        DamagedError: It refers to a different manifest, or its bundle is larger than a bundle may be.
    """
    info = parse_object(content, what)
    layers = info.get("layers")
    layer = layers[0] if isinstance(layers, list) and len(layers) == 1 and isinstance(layers[0], dict) else {}
    if layer.get("mediaType") != BUNDLE:
        return None
    found = info.get("subject")
    if (found.get("digest") if isinstance(found, dict) else found) != subject:
        raise DamagedError(f"{what} belongs to a different image: its subject is {found!r}")
    wanted, size = layer.get("digest"), layer.get("size")
    if not isinstance(wanted, str) or not is_digest(wanted) or type(size) is not int or size < 0:
        raise DamagedError(f"{what} is damaged: its layer has the digest {wanted!r} and the size {size!r}")
    if size > LARGEST:
        raise DamagedError(
            f"{what} is damaged: it says that its bundle has {size} bytes; at most {LARGEST} are allowed"
        )
    return Blob(wanted, size)


def _time(statement: Statement) -> str:
    for path in _TIMES:
        value: Any = statement.predicate
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, str) and _TIME.fullmatch(value):
            return value
    return _NO_TIME
