# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fetches files of package archives over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from ..build_key.outside_inputs import readable
from ..http_client import HttpClient, HttpError
from .apt_sources import NotReadError


class ArchiveClient:
    """Fetches files over HTTP, each address only once."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """Call ``report`` with a line of progress before each request."""
        self._report = report
        self._http = HttpClient()
        self._answers: dict[str, bytes | NotReadError] = {}
        #: Hosts that were asked for times, and whether they answer.
        self._answering: dict[str, bool] = {}

    def content(self, address: str, limit: int, name: str = "") -> bytes:
        """Fetch a file.

        Args:
            address: Address of the file.
            limit: Limit for its size, in bytes.
            name: Name of the file in the line of progress; by default, the address.

        Raises:
            NotReadError: The address does not answer, answers with an error, or the file is larger than the limit.
        """
        if address not in self._answers:
            self._report(f"reading {readable(name or address)}")
            try:
                self._answers[address] = self._fetch(address, limit)
            except NotReadError as error:
                self._answers[address] = error
        answer = self._answers[address]
        if isinstance(answer, NotReadError):
            raise answer
        return answer

    def modified(self, address: str) -> datetime | None:
        """Ask when a file was changed last, with a request for its headers.

        Returns:
            The time in UTC, from ``Last-Modified``, which nobody signs. ``None`` if there is no such header, or no
            answer. A host that did not answer is not asked again.
        """
        host = _host(address)
        if host not in self._answering:
            self._report(f"asking {readable(address).partition('/')[0]} since when updates have been available")
        if not self._answering.setdefault(host, True):
            return None
        try:
            with self._http.request("HEAD", address) as answer:
                return _read_time(answer.headers.get("Last-Modified", "")) if answer.status == HTTPStatus.OK else None
        except HttpError:
            self._answering[host] = False
            return None

    def _fetch(self, address: str, limit: int) -> bytes:
        try:
            with self._http.request("GET", address) as answer:
                if answer.status != HTTPStatus.OK:
                    raise NotReadError(f"it answers {readable(address)} with HTTP status {answer.status}")
                return answer.read(limit)
        except HttpError as error:
            raise NotReadError(f"{readable(address)} cannot be read: {error}") from error


def _host(address: str) -> str:
    with suppress(ValueError):
        return urlsplit(address).netloc
    return address


def _read_time(text: str) -> datetime | None:
    """Return the time of a header; ``None`` if it is not a time."""
    with suppress(ValueError, TypeError, OverflowError):
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    return None
