# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of archives, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import requests

from ..build_key.outside_inputs import readable
from .apt_sources import NotReadError

_TIMEOUT = 30
_CHUNK = 1 << 20


class Fetched:
    """What addresses answered; each is asked once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Take what to call with a line before an address is asked."""
        self._say = say
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "tierwright"
        self._answers: dict[str, bytes | NotReadError] = {}

    def content(self, address: str, most: int, called: str = "") -> bytes:
        """Get a file.

        Args:
            address: Where it is.
            most: Bytes that it may have.
            called: What to call it in the line; its address where nothing is given.

        Raises:
            NotReadError: The address does not answer, or with something else than a file of that size.
        """
        if address not in self._answers:
            self._say(f"reading {readable(called or address)}")
            try:
                self._answers[address] = self._asked(address, most)
            except NotReadError as error:
                self._answers[address] = error
        answer = self._answers[address]
        if isinstance(answer, NotReadError):
            raise answer
        return answer

    def _asked(self, address: str, most: int) -> bytes:
        content = bytearray()
        try:
            with self._session.get(address, timeout=_TIMEOUT, stream=True) as answer:
                if answer.status_code != HTTPStatus.OK:
                    raise NotReadError(f"it answers {readable(address)} with HTTP status {answer.status_code}")
                for piece in answer.iter_content(_CHUNK):
                    content += piece
                    if len(content) > most:
                        raise NotReadError(f"{readable(address)} is larger than it may be, {most} bytes")
        except requests.RequestException as error:
            raise NotReadError(f"it does not answer ({_reason(error)})") from error
        except ValueError as error:  # of the standard library, for an address that it was led to
            raise NotReadError(f"it leads to an address that is none ({error})") from error
        return bytes(content)


def _reason(error: requests.RequestException) -> str:
    """The innermost cause; those around it have addresses and passwords in them."""
    inner: BaseException = error
    while (below := inner.__cause__ or inner.__context__) is not None:
        inner = below
    return str(inner.args[-1]) if inner.args else type(inner).__name__
