# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notifications of registries: that somebody pushed something.

Who may send one is checked, but nothing in it is believed: a notification only causes a comparison, which asks the
registries themselves. Supported are the envelope of the distribution registry
(https://distribution.github.io/distribution/about/notifications/), and every other JSON object, for example the
webhooks of Harbor, Quay and zot.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ..text import one_line, printable
from .local_server import WebAnswer

_LONGEST_TOKEN = 4096
_SHORTEST_TOKEN = 16
_BEARER = "Bearer "


class Notifications:
    """Receives notifications."""

    def __init__(
        self, token_file: Path, repositories: Callable[[], Collection[str]], wake: Callable[[str], None]
    ) -> None:
        """Prepare.

        Args:
            token_file: The file with the token. It is read for each notification, so it can be replaced.
            repositories: Returns the repositories of interest, with the hosts of their registries.
            wake: Called with a line if a notification may be about one of them.
        """
        self._token_file, self._repositories, self._wake = token_file, repositories, wake

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebAnswer:
        """Answer a notification."""
        token = read_token(self._token_file)
        if token is None:
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "the watcher has no valid token")
        given = _header(headers, "authorization")
        if not hmac.compare_digest(given.encode(errors="replace"), (_BEARER + token).encode()):
            return _answer(HTTPStatus.UNAUTHORIZED, "the token is wrong or missing")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return _answer(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
        named = named_repositories(document)
        about = ["something"] if named is None else sorted(named & {_path(each) for each in self._repositories()})
        if about:
            self._wake(printable(one_line(f"a registry says that {', '.join(about)} changed")))
        return _answer(HTTPStatus.ACCEPTED, "")


def read_token(file: Path) -> str | None:
    """Read the token for notifications; ``None`` if there is none of at least 16 characters in the file."""
    try:
        with file.open("rb") as opened:
            token = opened.read(_LONGEST_TOKEN).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    return token if len(token) >= _SHORTEST_TOKEN and token.isprintable() else None


def named_repositories(document: Mapping[str, Any]) -> set[str] | None:
    """Return the repositories that a notification of the distribution registry names, without its host.

    Events that change nothing, such as pulls, are left out. The registry's own name for its host need not be the one
    that is used here, so it is ignored.

    Returns:
        The repositories; ``None`` for a notification of another form, which may be about anything.
    """
    events = document.get("events")
    if not isinstance(events, list):
        return None
    return set(_repositories(events))


def _repositories(events: list[Any]) -> Iterator[str]:
    for event in events:
        target = event.get("target") if isinstance(event, dict) else None
        if isinstance(target, dict) and event.get("action") not in {"pull", "mount"}:
            yield str(target.get("repository", ""))


def _header(headers: Mapping[str, str], wanted: str) -> str:
    return next((value for name, value in headers.items() if name.lower() == wanted), "")


def _path(repository: str) -> str:
    return repository.partition("/")[2]


def _answer(status: HTTPStatus, line: str) -> WebAnswer:
    return WebAnswer(status, f"{line}\n".encode() if line else b"")
