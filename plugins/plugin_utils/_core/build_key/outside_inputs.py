# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What addresses answer: requests, remembered answers, digests.

Outside inputs: what a role fetches while it is applied, and no file of it shows.

An input becomes one part of the build key. Its name has no mirror and no password in it: images carry it.

What outside addresses answered, remembered between runs.

Asks addresses for the outside inputs of tiers, each once, several at a time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .. import local_files
from ..local_files import write_whole
from .parts import digest_bytes

#: Makes a digest out of the pieces that an address answers.
Digest = Callable[[Iterable[bytes]], str]


@dataclass(frozen=True, slots=True)
class KnownInput:
    """An input whose digest needs no asking."""

    #: What it is called after ``input/`` in the key.
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class PendingInput:
    """An input that an address has to be asked for."""

    #: What it is called after ``input/`` in the key.
    name: str
    #: The variable that declares it, for messages.
    variable: str
    #: The address, or where it is what this machine's apt is configured for, the part of it after that.
    address: str
    #: Makes the digest out of the answer.
    digest: Digest
    #: Kind of apt's own mirror that ``address`` begins at: ``archive`` or ``security``; ``None`` for a whole address.
    mirror: str | None = None

    @property
    def question(self) -> str:
        """Name that the answer is remembered by."""
        return f"{self.digest.__name__} {self.mirror or ''} {self.address}"


def readable(address: str) -> str:
    """Name of an address without scheme, user, password and query, any of which may hold a secret."""
    parts = urlsplit(address)
    return f"{parts.hostname or ''}{parts.path}"


def digest_whole(pieces: Iterable[bytes]) -> str:
    """Digest all of an answer."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def digest_index(pieces: Iterable[bytes]) -> str:
    """Digest what an archive's ``InRelease`` says of its packages.

    Only the lines with checksums of index files count: the date, the time until which it is valid and the signature are
    made anew although no package changed. The strongest checksums are taken
    (https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files).

    Raises:
        ValueError: There are no such lines.
    """
    text = b"".join(pieces).decode(errors="replace")
    for name in ("SHA512", "SHA256"):
        found = re.search(rf"^{name}:[ \t]*\r?\n((?:[ \t]+.*(?:\n|$))+)", text, re.MULTILINE)
        if found:
            lines = sorted(" ".join(line.split()) for line in found[1].splitlines())
            return digest_bytes("\n".join(lines).encode())
    raise ValueError("it is no InRelease file: it has no checksums of index files")


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """What an address answered."""

    #: Digest of the answer, or of what counts of it.
    digest: str
    #: When it was asked, in seconds since 1970.
    time: float
    #: The answer's ``ETag``, to ask whether it changed.
    etag: str | None = None
    #: The answer's ``Last-Modified``.
    modified: str | None = None


class Memory:
    """Answers in a private folder below ``$XDG_CACHE_HOME`` (by default ``~/.cache``)."""

    def __init__(self) -> None:
        self._folder = local_files.cache() / "answers"

    def recall(self, address: str) -> RememberedAnswer | None:
        """What ``address`` answered the last time; ``None`` where that is not known."""
        try:
            answer = RememberedAnswer(**json.loads(self._path(address).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        texts = (answer.digest, answer.etag or "", answer.modified or "")
        whole = isinstance(answer.time, float | int) and all(isinstance(each, str) for each in texts)
        return answer if whole else None

    def keep(self, address: str, answer: RememberedAnswer) -> None:
        """Remember an answer. Where nothing can be written, the next run asks again."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path(address), json.dumps(dataclasses.asdict(answer)))
        except OSError:
            return

    def _path(self, address: str) -> Path:
        return self._folder / f"{hashlib.sha256(address.encode()).hexdigest()}.json"


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
class FetchFailure:
    """An address that did not answer, and of which nothing is remembered."""

    reason: str


def ask(
    questions: Mapping[str, Question], locate: Callable[[str], str], warn: Callable[[str], None]
) -> dict[str, str | FetchFailure]:
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
    results: dict[str, str | FetchFailure] = {
        name: answer.digest for name, answer in known.items() if answer is not None
    }
    addresses = {name: locate(name) for name in old}

    def ask_one(name: str) -> RememberedAnswer | FetchFailure:
        try:
            answer = _get(addresses[name], questions[name].digest, known[name])
        except (OSError, ValueError, http.client.HTTPException) as error:
            return FetchFailure(_words(error))
        memory.keep(name, answer)
        return answer

    with ThreadPoolExecutor(_THREADS) as threads:
        for name, answer in zip(old, threads.map(ask_one, old), strict=True):
            before = known[name]
            if isinstance(answer, RememberedAnswer):
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


def _is_old(answer: RememberedAnswer, max_age: float) -> bool:
    return not 0 <= time.time() - answer.time < max_age


def _get(address: str, digest: Digest, before: RememberedAnswer | None) -> RememberedAnswer:
    """Get an answer, or the one before with a new time where the address says that it is still right."""
    if not address.lower().startswith(("http://", "https://")):
        raise ValueError("it is no address that begins with http:// or https://")
    request = urllib.request.Request(address, headers=_conditions(before))  # noqa: S310 - checked above
    asked = time.time()
    try:
        with urllib.request.build_opener().open(request, timeout=_SILENCE) as response:
            headers = response.headers
            return RememberedAnswer(digest(_pieces(response)), asked, headers.get("ETag"), headers.get("Last-Modified"))
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


def _conditions(before: RememberedAnswer | None) -> dict[str, str]:
    said = {"If-None-Match": before and before.etag, "If-Modified-Since": before and before.modified}
    return {"User-Agent": "tierwright"} | {name: value for name, value in said.items() if value}


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason) or type(error).__name__
