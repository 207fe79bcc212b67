# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In-toto statements: a claim (the predicate) about things that are named by their digests (the subjects).

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. What is signed are bytes, so a statement is
written once, and its bytes are kept. Nothing that was read is written again before its signature is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import DamagedError

STATEMENT = "https://in-toto.io/Statement/v1"
#: What cosign 2 writes. Its form is the same.
_OLDER_STATEMENT = "https://in-toto.io/Statement/v0.1"

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_SUBJECTS = 10_000


class Subject(msgspec.Struct, frozen=True):
    """Something that a statement is about."""

    #: Its name; empty in the statements of cosign.
    name: str
    #: Its digest, ``sha256:…``.
    digest: str


class Statement(msgspec.Struct, frozen=True):
    """A claim about subjects."""

    subjects: tuple[Subject, ...]
    #: The kind of the claim, a URI.
    predicate_type: str
    predicate: Mapping[str, Any]

    def digests(self) -> frozenset[str]:
        """Return the digests of its subjects."""
        return frozenset(subject.digest for subject in self.subjects)


def write_statement(statement: Statement) -> bytes:
    """Return the bytes of a statement. Equal statements have equal bytes: keys are sorted, and nothing is spaced."""
    subjects = [
        {**({"name": each.name} if each.name else {}), "digest": {"sha256": each.digest.removeprefix("sha256:")}}
        for each in statement.subjects
    ]
    document = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": statement.predicate_type,
        "predicate": statement.predicate,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def read_statement(content: bytes, title: str) -> Statement:
    """Read a statement. Its signature must have been checked before.

    Args:
        content: Its bytes.
        title: What it is, for messages.

    Raises:
        DamagedError: It is not a statement, or a subject has no SHA-256 digest.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{title} is damaged: it is not JSON ({error})") from None
    if not isinstance(document, dict) or document.get("_type") not in (STATEMENT, _OLDER_STATEMENT):
        raise DamagedError(f"{title} is damaged: it is not an in-toto statement of version 1")
    kind, predicate, subjects = document.get("predicateType"), document.get("predicate"), document.get("subject")
    if not isinstance(kind, str) or not isinstance(predicate, dict | None) or not isinstance(subjects, list):
        raise DamagedError(f"{title} is damaged: it lacks predicateType, predicate or subject")
    if not 0 < len(subjects) <= _MOST_SUBJECTS:
        raise DamagedError(f"{title} is damaged: it has {len(subjects)} subjects")
    return Statement(tuple(_read_subject(each, title) for each in subjects), kind, predicate or {})


def _read_subject(subject: Any, title: str) -> Subject:
    digests = subject.get("digest") if isinstance(subject, dict) else None
    sha256 = digests.get("sha256") if isinstance(digests, dict) else None
    name = subject.get("name", "") if isinstance(subject, dict) else ""
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or not isinstance(name, str):
        raise DamagedError(f"{title} is damaged: a subject has no SHA-256 digest")
    return Subject(name, f"sha256:{sha256}")
