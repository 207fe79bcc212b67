# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements in the local store, for people: whose images they are about, what they say, and who says it.

Nothing is verified here: that needs a policy. The texts come from whoever wrote the records.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from ..errors import DamagedError
from ..signing.bundle import read_bundle, read_hint
from ..signing.envelope import IN_TOTO
from ..signing.statement import Statement, Subject, read_statement
from .build_facts import noted_facts
from .predicates import CONFIG, GATE, PROVENANCE, TESTED_ON
from .record_store import LocalRecords

#: Where a statement says when something ended, by the type of its predicate.
_TIMES = {PROVENANCE: ("runDetails", "metadata", "finishedOn"), GATE: (TESTED_ON,)}
#: The form in which these times are written here.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class StoredStatement(msgspec.Struct, frozen=True):
    """A signed statement in the store. Several bundles can have the same bytes, each with a different signature."""

    payload: bytes
    statement: Statement
    #: IDs of the keys that the bundles name; empty texts for bundles that name none.
    keys: tuple[str, ...]

    @property
    def time(self) -> str:
        """When the build or the tests ended, as the statement says, in RFC 3339; empty for other statements."""
        text = text_at(self.statement.predicate, *_TIMES.get(self.statement.predicate_type, ("",)))
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return ""
        return text if _TIME.fullmatch(text) else ""

    @property
    def digest(self) -> str:
        """``sha256:…`` of the signed bytes."""
        return f"sha256:{hashlib.sha256(self.payload).hexdigest()}"

    @property
    def chain(self) -> str:
        """The chain of the tier that it is about, as the statement says; empty if it names none."""
        return self._parameter("chain")

    @property
    def tier(self) -> str:
        """The tier that it is about, as the statement says; empty if it names none."""
        return self._parameter("tier")

    def _parameter(self, name: str) -> str:
        if self.statement.predicate_type != PROVENANCE:
            return ""
        return text_at(self.statement.predicate, "buildDefinition", "externalParameters", name)


def stored_statements(
    records: LocalRecords, config: str, warn: Callable[[str], None] = lambda _line: None
) -> list[StoredStatement]:
    """Read the statements about an image, those with the newest time first.

    Args:
        records: The store.
        config: ``sha256:…`` of the image's configuration.
        warn: Called with one line about each bundle without a statement.
    """
    return group_statements(records.of_config(config), warn)


def group_statements(bundles: Iterable[tuple[str, bytes]], warn: Callable[[str], None]) -> list[StoredStatement]:
    """Read the statements of bundles, those with the newest time first. Bundles with the same bytes are one statement.

    Args:
        bundles: The title of each bundle, for messages, and its bytes.
        warn: Called with one line about each bundle without a statement.
    """
    keys: dict[bytes, list[str]] = {}
    statements: dict[bytes, Statement] = {}
    for title, content in bundles:
        try:
            payload, statement = read_signed(title, content)
        except DamagedError as error:
            warn(f"{error}; it is ignored")
            continue
        statements[payload] = statement
        keys.setdefault(payload, []).append(read_hint(content))
    found = [StoredStatement(payload, statements[payload], tuple(sorted(set(keys[payload])))) for payload in statements]
    return sorted(found, key=lambda each: (each.statement.predicate_type, each.time, each.payload), reverse=True)


def read_signed(title: str, content: bytes) -> tuple[bytes, Statement]:
    """Read the statement in a bundle. Its signature is not checked.

    Args:
        title: What the bundle is, for messages.
        content: Its bytes.

    Returns:
        The signed bytes, and the statement.

    Raises:
        DamagedError: It is not a bundle, or it has no statement.
    """
    envelope = read_bundle(content, title)
    if envelope.payload_type != IN_TOTO:
        raise DamagedError(f"{title} contains {envelope.payload_type!r}; expected {IN_TOTO}")
    return envelope.payload, read_statement(envelope.payload, title)


def recorded_images(records: LocalRecords, tier: str) -> dict[str, list[tuple[str, str]]]:
    """Find the images of a tier in the store, by its facts and by provenance statements.

    Returns:
        By chain: when each image was built, and ``sha256:…`` of its configuration, the newest image first.
    """
    found: dict[str, dict[str, str]] = {}
    for config in records.configs():
        for chain, moment in _builds_of(records, config, tier):
            images = found.setdefault(chain, {})
            images[config] = max(images.get(config, ""), moment)
    return {
        chain: sorted(((moment, config) for config, moment in images.items()), reverse=True)
        for chain, images in found.items()
    }


def _builds_of(records: LocalRecords, config: str, tier: str) -> Iterator[tuple[str, str]]:
    facts = noted_facts(records, config)
    if facts is not None and facts.tier == tier:
        yield facts.chain, facts.finished
    for each in stored_statements(records, config):
        if each.tier == tier and Subject(CONFIG, config) in each.statement.subjects:
            yield each.chain, each.time


def value_at(document: Any, *path: str) -> Any:
    """Return a value in nested dictionaries; ``None`` if a key is missing or something is not a dictionary."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def text_at(document: Any, *path: str) -> str:
    """Return a text in nested dictionaries; empty if there is no text at this place."""
    value = value_at(document, *path)
    return value if isinstance(value, str) else ""


def texts_at(document: Any, *path: str) -> list[str]:
    """Return the texts of a list in nested dictionaries; empty if there is no list at this place."""
    value = value_at(document, *path)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
