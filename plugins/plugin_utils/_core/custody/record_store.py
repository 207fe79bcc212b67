# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the records of images are: the protocol of all places, and the folder of this user.

The folder is ``$XDG_STATE_HOME/tierwright/+records``, with one folder for each image, named by the digest of its
configuration. Each signed statement is a file there, named by the digest of its bytes. Signatures protect what they
say. The folder also has unsigned notes about the build and the tests; they count only for this user, who signs them.

Anything can be in the folder: another program, a full disk or a restored backup changed it. What is not a bundle with
the digest that its name says is skipped, with one line.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from .. import local_files
from ..errors import DamagedError, describe_error
from ..local_files import own_reads, write_durably
from ..records import decode, encode
from ..signing.bundle import LARGEST, read_bundle
from ..signing.envelope import IN_TOTO
from ..signing.public_key import PublicKey
from .image_identity import ImageIdentity

#: This cannot be the folder of a chain, because the name of a chain does not begin with a plus sign.
_FOLDER = "+records"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_BUNDLE_FILE = re.compile(r"[0-9a-f]{64}\.json", re.ASCII)

#: More bundles of one image are not read: each would cost a check of its signature.
MOST_BUNDLES = 1000
#: Size limit of unsigned notes, in bytes.
_LARGEST_NOTE = 16 << 20

NoteT = TypeVar("NoteT")


class RecordSource(Protocol):
    """A place that has records of images."""

    def bundles(self, image: ImageIdentity) -> Iterator[tuple[str, bytes]]:
        """Yield the bundles that claim to be about an image. Nothing about them is checked.

        Args:
            image: The image.

        Yields:
            A title for messages, and the bytes of the bundle.
        """


def _ignore(_line: str) -> None:
    pass


class LocalRecords:
    """The records in the state folder of this user."""

    def __init__(self, warn: Callable[[str], None] = _ignore) -> None:
        """Open the store. Nothing is read or made yet.

        Args:
            warn: Called with one line about each file that is skipped.
        """
        self._warn = warn

    def bundles(self, image: ImageIdentity) -> Iterator[tuple[str, bytes]]:
        """Yield the bundles of an image, in the order of their names. Their signatures are not checked."""
        return self.of_config(image.config)

    def of_config(self, config: str) -> Iterator[tuple[str, bytes]]:
        """Yield the bundles of the image whose configuration has this digest, as :meth:`bundles` does."""
        folder = _folder_of(config)
        paths = sorted(path for path in _entries(folder) if _BUNDLE_FILE.fullmatch(path.name))
        if len(paths) > MOST_BUNDLES:
            self._warn(f"{folder} has {len(paths)} bundles; only {MOST_BUNDLES} of them are read")
        for path in paths[:MOST_BUNDLES]:
            try:
                content = _read(path, LARGEST)
                _check(path, content)
            except (DamagedError, OSError) as error:
                self._warn(f"{_describe(path, error)}; it is ignored")
                continue
            yield str(path), content

    def signed_payloads(self, config: str, key: PublicKey) -> frozenset[bytes]:
        """Return the bytes of the statements about an image that a key signed. Other signatures are ignored."""
        envelopes = (read_bundle(content, title) for title, content in self.of_config(config))
        return frozenset(
            envelope.payload for envelope in envelopes if envelope.payload_type == IN_TOTO and envelope.signers([key])
        )

    def add(self, config: str, bundle: bytes) -> Path:
        """Store a bundle of an image. It survives a crash of the machine. An equal bundle is not written again.

        Args:
            config: ``sha256:…`` of the image's configuration.
            bundle: The bytes of the bundle.

        Returns:
            The path of its file.

        Raises:
            DamagedError: It is not a bundle, or the digest is not one.
            OSError: It cannot be written.
        """
        read_bundle(bundle, "a new record")
        path = _folder_of(config) / f"{hashlib.sha256(bundle).hexdigest()}.json"
        if not self._has(path, bundle):
            _make_folder(path.parent)
            write_durably(path, bundle)
        return path

    def note(self, config: str, kind: str, record: object) -> None:
        """Store unsigned notes about an image. They replace earlier notes of this kind.

        Args:
            config: ``sha256:…`` of the image's configuration.
            kind: ``facts`` or ``gate``.
            record: The notes, which :func:`.records.encode` can write.

        Raises:
            OSError: They cannot be written.
        """
        path = _folder_of(config) / f"{kind}.json"
        _make_folder(path.parent)
        write_durably(path, encode(record, sort_keys=True))

    def noted(self, config: str, kind: str, form: type[NoteT]) -> NoteT | None:
        """Return the notes of a kind about an image; ``None`` if there are none, or if they are damaged.

        Args:
            config: ``sha256:…`` of the image's configuration.
            kind: ``facts`` or ``gate``.
            form: The class of the notes.
        """
        path = _folder_of(config) / f"{kind}.json"
        try:
            return decode(_read(path, _LARGEST_NOTE), form)
        except FileNotFoundError:
            return None
        except (DamagedError, OSError, ValueError) as error:
            self._warn(f"{_describe(path, error)}; it is ignored")
            return None

    def configs(self) -> list[str]:
        """Return the sorted digests of the configurations that have a folder."""
        names = (f"sha256:{path.name}" for path in _entries(local_files.state() / _FOLDER))
        return sorted(name for name in names if _DIGEST.fullmatch(name))

    def _has(self, path: Path, bundle: bytes) -> bool:
        try:
            return _read(path, LARGEST) == bundle
        except (DamagedError, OSError):
            return False


def _folder_of(config: str) -> Path:
    if not _DIGEST.fullmatch(config):
        raise DamagedError(f"{config!r} is not the digest of a configuration; expected sha256: and 64 digits")
    return local_files.state() / _FOLDER / config.removeprefix("sha256:")


def _make_folder(folder: Path) -> None:
    """Make the folder of an image. It is private from its first moment."""
    for path in (folder.parent.parent, folder.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it does not exist, or it is something else
        return []


def _read(path: Path, largest: int) -> bytes:
    """Read a regular file. Links are not followed, and nothing waits for a pipe.

    Raises:
        DamagedError: It is something else, or too large.
        OSError: It cannot be read.
    """
    with own_reads():
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DamagedError(f"{path} is not a regular file")
            if status.st_size > largest:
                raise DamagedError(f"{path} has {status.st_size} bytes; at most {largest} are allowed")
            return file.read(largest + 1)


def _check(path: Path, content: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise DamagedError(f"{path} is damaged: it does not have the digest that its name says")
    read_bundle(content, str(path))


def _describe(path: Path, error: Exception) -> str:
    return str(error) if isinstance(error, DamagedError) else f"{path} cannot be read: {describe_error(error)}"
