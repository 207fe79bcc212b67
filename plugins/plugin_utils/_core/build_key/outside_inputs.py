# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Outside inputs: requests for them, cached answers, and digests.

An outside input is content that a role downloads. It becomes one part of the build key. The name of this part is stored
in the image, so it must not contain the address of a mirror or a password. Each address is requested once, several at
the same time. Answers are cached between runs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from .. import local_files
from ..deb822 import paragraphs
from ..local_files import write_atomically
from ..records import decode, encode
from .parts import digest_bytes

if TYPE_CHECKING:
    from ..http_client import HttpClient

#: Computes a digest from the chunks of an answer.
Digest = Callable[[Iterable[bytes]], str]


class KnownInput(msgspec.Struct, frozen=True):
    """An input whose digest is known without a request."""

    #: Name of its key part, after ``input/``.
    name: str
    digest: str
    #: Its address, or ``file:`` and its path. It may contain a password.
    address: str


class PendingInput(msgspec.Struct, frozen=True):
    """An input whose digest requires a request."""

    #: Name of its key part, after ``input/``.
    name: str
    #: The variable that declares it, for messages.
    variable: str
    #: The address. If ``mirror`` is set, only the path below this mirror.
    address: str
    #: Computes the digest from the answer.
    digest: Digest
    #: The mirror of this machine's apt that ``address`` belongs to: ``archive`` or ``security``; ``None`` if
    #: ``address`` is complete.
    mirror: str | None = None

    @property
    def question(self) -> str:
        """The name under which the answer is cached."""
        return f"{self.digest.__name__} {self.mirror or ''} {self.address}"


class DigestedInput(msgspec.Struct, frozen=True):
    """An input with the digest that the plan found."""

    #: ``https://example.org/x.tar.gz`` without user, password and query, or ``file:`` and the path in the inventory.
    uri: str
    #: ``sha256:…`` of the whole content. For index files and local files, a digest that only Tierwright computes.
    digest: str


def without_credentials(address: str) -> str:
    """Return an address without user, password and query, which may be secret."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def readable(address: str) -> str:
    """Return an address without scheme, user, password and query. Some of these may be secret."""
    parts = urlsplit(address)
    return f"{parts.hostname or ''}{parts.path}"


def digest_whole(chunks: Iterable[bytes]) -> str:
    """Digest the whole answer."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def digest_index(chunks: Iterable[bytes]) -> str:
    """Digest the checksums of index files in the ``InRelease`` file of an archive.

    Other lines are ignored: date, expiry date and signature are renewed even if no package changes. The strongest kind
    of checksums is used (https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files).

    Raises:
        ValueError: There are no such checksums.
    """
    text = b"".join(chunks).decode(errors="replace")
    releases = list(paragraphs(text))
    for algorithm in ("sha512", "sha256"):
        for release in releases:
            if lines := sorted(" ".join(line.split()) for line in release.get(algorithm, "").splitlines() if line):
                return digest_bytes("\n".join(lines).encode())
    raise ValueError("it is not an InRelease file: it has no checksums of index files")


class CachedAnswer(msgspec.Struct, frozen=True):
    """The answer of an address."""

    #: Digest of the answer, or of its relevant part.
    digest: str
    #: Time of the request, in seconds since 1970.
    time: float
    #: The answer's ``ETag``, to find out later whether it has changed.
    etag: str | None = None
    #: The answer's ``Last-Modified``.
    modified: str | None = None


class AnswerCache:
    """Cached answers, in a private folder below ``$XDG_CACHE_HOME`` (by default ``~/.cache``)."""

    def __init__(self) -> None:
        self._folder = local_files.cache() / "answers"

    def get(self, name: str) -> CachedAnswer | None:
        """Return the last answer with this name; ``None`` if there is none."""
        try:
            return decode(self._path(name).read_text(), CachedAnswer, exact=True)
        except (OSError, ValueError):
            return None

    def keep(self, name: str, answer: CachedAnswer) -> None:
        """Cache an answer. If the file cannot be written, the next run sends the request again."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path(name), encode(answer))
        except OSError:
            return

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


_THREADS = 8
#: Timeout of a whole answer, in seconds.
_ANSWER_TIMEOUT = 300


class Question(msgspec.Struct, frozen=True):
    """How to digest an answer, and how old a cached answer may be."""

    #: Computes a digest from the answer.
    digest: Digest
    #: Seconds for which a cached answer is used; with 0, the request is always sent.
    max_age: float


class FetchFailure(msgspec.Struct, frozen=True):
    """A failed request for which there is no cached answer."""

    reason: str


def ask(
    questions: Mapping[str, Question], locate: Callable[[str], str], warn: Callable[[str], None]
) -> dict[str, str | FetchFailure]:
    """Return digests of answers. Requests are sent only for answers that are not cached, or are too old.

    Args:
        questions: Name under which the answer is cached, to how to digest it.
        locate: Returns the address for a name. It is called only for requests that are sent.
        warn: Called with a line for each address that does not answer, if an older answer is used.

    Returns:
        Name to the digest of the answer, or to the reason why there is none.
    """
    cache = AnswerCache()
    cached = {name: cache.get(name) for name in questions}
    old = [name for name, answer in cached.items() if answer is None or _is_old(answer, questions[name].max_age)]
    results: dict[str, str | FetchFailure] = {
        name: answer.digest for name, answer in cached.items() if answer is not None
    }
    addresses = {name: locate(name) for name in old}
    if not old:
        return results
    from ..http_client import HttpClient  # noqa: PLC0415 - slow import; most runs send no request

    client = HttpClient()

    def fetch(name: str) -> CachedAnswer | FetchFailure:
        try:
            answer = _fetch(client, addresses[name], questions[name].digest, cached[name])
        except (OSError, ValueError) as error:
            return FetchFailure(str(error) or type(error).__name__)
        cache.keep(name, answer)
        return answer

    with ThreadPoolExecutor(_THREADS) as threads:
        for name, answer in zip(old, threads.map(fetch, old), strict=True):
            before = cached[name]
            if isinstance(answer, CachedAnswer):
                results[name] = answer.digest
            elif before is None:
                results[name] = answer
            else:
                minutes = (time.time() - before.time) / 60
                warn(
                    f"{readable(addresses[name])} does not answer ({answer.reason}); its answer from {minutes:.0f} "
                    "minutes ago is used"
                )
    return results


def _is_old(answer: CachedAnswer, max_age: float) -> bool:
    return not 0 <= time.time() - answer.time < max_age


def _fetch(client: HttpClient, address: str, digest: Digest, before: CachedAnswer | None) -> CachedAnswer:
    """Request an answer. If it has not changed, return the cached answer with a new time."""
    if not address.lower().startswith(("http://", "https://")):
        raise ValueError("the address does not begin with http:// or https://")
    from ..http_client import HttpError  # noqa: PLC0415 - slow import

    now = time.time()
    try:
        with client.request("GET", address, headers=_conditions(before)) as response:
            if response.status == HTTPStatus.NOT_MODIFIED and before is not None:
                return msgspec.structs.replace(before, time=now)
            if response.status != HTTPStatus.OK:
                raise OSError(f"HTTP status {response.status}")
            content, headers = response.chunks(_ANSWER_TIMEOUT), response.headers
            return CachedAnswer(digest(content), now, headers.get("ETag"), headers.get("Last-Modified"))
    except HttpError as error:
        raise OSError(str(error)) from error


def _conditions(before: CachedAnswer | None) -> dict[str, str]:
    conditions = {"If-None-Match": before and before.etag, "If-Modified-Since": before and before.modified}
    return {name: value for name, value in conditions.items() if value}
