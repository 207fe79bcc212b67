# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks addresses for the outside inputs of tiers, each once, several at a time."""

from __future__ import annotations

import dataclasses
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .answers import Answer, Memory
from .inputs import Digest, readable

_THREADS = 8
#: Seconds without a sign of life after which an address does not answer.
_SILENCE = 20
#: Seconds that one whole answer may take.
_PATIENCE = 300
_PIECE = 1 << 20
_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask an address for."""

    #: Makes a digest out of the answer.
    digest: Digest
    #: Seconds for which an answer that is remembered is good; 0 asks always.
    max_age: float


@dataclass(frozen=True, slots=True)
class Failure:
    """An address that did not answer, and of which nothing is remembered."""

    reason: str


def ask(
    questions: Mapping[str, Question], locate: Callable[[str], str], warn: Callable[[str], None]
) -> dict[str, str | Failure]:
    """Ask every address whose answer is not remembered, or is too old.

    Args:
        questions: What to ask, by the name that the answer is remembered by.
        locate: Gives the address to a name; called only for what is asked.
        warn: Called with a line for each address that did not answer where an older answer takes its place.

    Returns:
        By name, the digest of the answer, or why there is none.
    """
    memory = Memory()
    known = {name: memory.recall(name) for name in questions}
    old = [name for name, answer in known.items() if answer is None or _is_old(answer, questions[name].max_age)]
    results: dict[str, str | Failure] = {name: answer.digest for name, answer in known.items() if answer is not None}
    addresses = {name: locate(name) for name in old}

    def ask_one(name: str) -> Answer | Failure:
        try:
            answer = _get(addresses[name], questions[name].digest, known[name])
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Failure(_words(error))
        memory.keep(name, answer)
        return answer

    with ThreadPoolExecutor(_THREADS) as threads:
        for name, answer in zip(old, threads.map(ask_one, old), strict=True):
            before = known[name]
            if isinstance(answer, Answer):
                results[name] = answer.digest
            elif before is None:
                results[name] = answer
            else:
                minutes = (time.time() - before.time) / 60
                warn(
                    f"{readable(addresses[name])} does not answer ({answer.reason}); its answer of {minutes:.0f} "
                    "minutes ago counts"
                )
    return results


def _is_old(answer: Answer, max_age: float) -> bool:
    return not 0 <= time.time() - answer.time < max_age


def _get(address: str, digest: Digest, before: Answer | None) -> Answer:
    """Get an answer, or the one before with a new time where the address says that it is still right."""
    if not address.lower().startswith(("http://", "https://")):
        raise ValueError("it is no address that begins with http:// or https://")
    request = urllib.request.Request(address, headers=_conditions(before))  # noqa: S310 - checked above
    asked = time.time()
    try:
        with urllib.request.urlopen(request, timeout=_SILENCE) as response:  # noqa: S310 - checked above
            headers = response.headers
            return Answer(digest(_pieces(response)), asked, headers.get("ETag"), headers.get("Last-Modified"))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _NOT_MODIFIED and before is not None:
                return dataclasses.replace(before, time=asked)
            raise OSError(f"HTTP status {error.code}") from None


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    until = time.monotonic() + _PATIENCE
    while piece := response.read1(
        _PIECE
    ):  # what is there: `read` would wait for a whole piece, however slowly it comes
        yield piece
        if time.monotonic() > until:
            raise TimeoutError(f"it took more than {_PATIENCE} seconds")


def _conditions(before: Answer | None) -> dict[str, str]:
    said = {"If-None-Match": before and before.etag, "If-Modified-Since": before and before.modified}
    return {"User-Agent": "tierwright"} | {name: value for name, value in said.items() if value}


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason) or type(error).__name__
