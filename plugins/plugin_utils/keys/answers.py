# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What outside addresses answered, remembered between runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from .. import user_folders
from ..whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Answer:
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
        self._folder = user_folders.cache() / "answers"

    def recall(self, address: str) -> Answer | None:
        """What ``address`` answered the last time; ``None`` where that is not known."""
        try:
            answer = Answer(**json.loads(self._path(address).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        texts = (answer.digest, answer.etag or "", answer.modified or "")
        whole = isinstance(answer.time, float | int) and all(isinstance(each, str) for each in texts)
        return answer if whole else None

    def keep(self, address: str, answer: Answer) -> None:
        """Remember an answer. Where nothing can be written, the next run asks again."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path(address), json.dumps(dataclasses.asdict(answer)))
        except OSError:
            return

    def _path(self, address: str) -> Path:
        return self._folder / f"{hashlib.sha256(address.encode()).hexdigest()}.json"
