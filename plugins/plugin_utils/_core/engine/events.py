# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event stream of the engine: which images get a name, and which services change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from ..errors import EngineError
from .session import EngineSession

#: Seconds after which the engine ends a stream. So a connection that nobody closed is noticed.
STREAM_SECONDS = 240
#: Bytes of one event. A longer line is not an event.
_LONGEST = 1 << 20
_KINDS = ("image", "service")


class EngineEvent(msgspec.Struct, frozen=True):
    """Something that happened in the engine."""

    #: ``image`` or ``service``.
    kind: str
    #: What was done: ``tag``, ``untag``, ``load``, ``update`` …
    action: str
    #: The name of the image or service; its ID if it has no name.
    name: str


class Events:
    """The event stream of one engine."""

    def __init__(self, session: EngineSession) -> None:
        """Use this session."""
        self._session = session

    def follow(self, since: float | None = None, seconds: int = STREAM_SECONDS) -> Iterator[EngineEvent]:
        """Yield the events of images and services as they happen, until the engine ends the stream.

        Args:
            since: Begin with the events since then, in seconds since 1970; ``None`` for those from now on.
            seconds: When the engine ends the stream.

        Raises:
            EngineError: The engine rejected the request, or the stream is not one of events.
            EngineUnavailableError: The engine does not answer, or ended.
        """
        now = time.time()
        filters = quote(json.dumps({"type": list(_KINDS)}))
        path = f"/events?since={since or now:.3f}&until={int(now) + seconds}&filters={filters}"
        with self._session.http.stream(path) as answer:
            for line in _lines(answer):
                event = _read_event(line)
                if event is not None:
                    yield event


def _lines(answer: Any) -> Iterator[bytes]:
    """Split a stream into lines. ``read1`` returns what has arrived; ``read`` would wait for more."""
    read = getattr(answer, "read1", None) or answer.read
    rest = b""
    while chunk := read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > _LONGEST:
            raise EngineError("the engine's stream of events has a line of more than a megabyte")
    yield rest


def _read_event(line: bytes) -> EngineEvent | None:
    """Read an event; ``None`` for an empty line, and for events of other kinds.

    Raises:
        EngineError: The line is not an event.
    """
    if not line.strip():
        return None
    try:
        event = json.loads(line)
        kind, action = str(event.get("Type", "")), str(event.get("Action") or event.get("status") or "")
        actor: Mapping[str, Any] = event.get("Actor") or {}
        name = str((actor.get("Attributes") or {}).get("name") or actor.get("ID") or event.get("id") or "")
    except (ValueError, AttributeError, RecursionError) as error:
        raise EngineError("the engine's stream of events has a line that is not an event") from error
    return EngineEvent(kind, action, name) if kind in _KINDS else None
