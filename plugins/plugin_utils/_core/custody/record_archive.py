# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carries records between machines without a registry: a tar archive of the bundles of one image.

An archive may come from anybody. Each of its members must be a bundle with a statement about the image that its folder
names. Otherwise nothing is imported. Signatures are checked later, by those who know the keys.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import DamagedError, NotFoundError, describe_error
from ..local_files import write_atomically
from ..signing.bundle import LARGEST
from ..signing.statement import Subject
from .predicates import CONFIG
from .record_store import MOST_BUNDLES, LocalRecords
from .stored_statements import read_signed

_NAME = re.compile(r"(?P<config>[0-9a-f]{64})/(?P<bundle>[0-9a-f]{64})\.json", re.ASCII)

#: Size limit of all bundles together, in bytes.
LARGEST_ARCHIVE = 256 << 20


def export_records(records: LocalRecords, config: str, path: Path) -> int:
    """Write the bundles of an image to an archive that only the user can read. Equal bundles give equal archives.

    Args:
        records: The store.
        config: ``sha256:…`` of the image's configuration.
        path: The file. It is replaced if it exists.

    Returns:
        The number of bundles.

    Raises:
        NotFoundError: There are no bundles of this image.
        OSError: The file cannot be written.
    """
    bundles = [content for _title, content in records.of_config(config)]
    if not bundles:
        raise NotFoundError(
            f"there are no signed records of image {config} on this machine; they are made when its tier is promoted "
            "with tier_signing_key"
        )
    folder, archive = config.removeprefix("sha256:"), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for content in bundles:
            member = tarfile.TarInfo(f"{folder}/{hashlib.sha256(content).hexdigest()}.json")
            member.size, member.mode = len(content), 0o600
            tar.addfile(member, io.BytesIO(content))
    write_atomically(path, archive.getvalue())
    return len(bundles)


def import_records(records: LocalRecords, path: Path) -> dict[str, int]:
    """Add the bundles of an archive to the store: all of them, or none.

    Args:
        records: The store.
        path: The archive.

    Returns:
        The number of bundles by ``sha256:…`` of the image's configuration.

    Raises:
        NotFoundError: There is no such file.
        DamagedError: It is not an archive of records, or a member is not about the image that its name says.
        OSError: The file cannot be read, or a bundle cannot be stored.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > 2 * LARGEST_ARCHIVE:
                raise DamagedError(
                    f"{path} is larger than {2 * LARGEST_ARCHIVE >> 20} MiB; expected an archive of records"
                )
            bundles = list(_read(file, str(path)))
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except (tarfile.TarError, EOFError, ValueError, RecursionError) as error:
        raise DamagedError(
            f"{path} is damaged: it is not an archive of records ({describe_error(error)}); expected what `tierwright "
            "records export` writes"
        ) from None
    _check_subjects(bundles, str(path))
    counts: dict[str, int] = {}
    for config, _title, content in bundles:
        records.add(config, content)
        counts[config] = counts.get(config, 0) + 1
    return counts


def _read(file: IO[bytes], title: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield the digest of the configuration, a title, and the bytes of each bundle in an archive."""
    size = count = 0
    with tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            count, size = count + 1, size + member.size
            match = _NAME.fullmatch(member.name)
            if match is None or not member.isreg() or member.issparse():
                raise DamagedError(
                    f"{title} is damaged: member {member.name!r} is not a file named after an image and a bundle"
                )
            if count > MOST_BUNDLES or member.size > LARGEST or size > LARGEST_ARCHIVE:
                raise DamagedError(
                    f"{title} is damaged: it has more than {MOST_BUNDLES} bundles, or they are larger than "
                    f"{LARGEST_ARCHIVE >> 20} MiB"
                )
            opened = tar.extractfile(member)
            content = opened.read() if opened else b""
            if hashlib.sha256(content).hexdigest() != match["bundle"]:
                raise DamagedError(f"{title} is damaged: member {member.name!r} does not have the digest in its name")
            yield f"sha256:{match['config']}", f"{title}: member {member.name}", content


def _check_subjects(bundles: list[tuple[str, str, bytes]], title: str) -> None:
    """Check that each statement is about the image of its folder.

    A statement of cosign names only the manifest. So another statement about the image must name this manifest, too.
    """
    if not bundles:
        raise DamagedError(f"{title} has no records; expected what `tierwright records export` writes")
    read = [(config, name, read_signed(name, content)[1]) for config, name, content in bundles]
    known: dict[str, set[str]] = {config: {config} for config, _name, _statement in read}
    for config, _name, statement in read:
        if Subject(CONFIG, config) in statement.subjects:
            known[config] |= statement.digests()
    for config, name, statement in read:
        if not statement.digests() <= known[config]:
            raise DamagedError(
                f"{name} is not about image {config}, whose folder it is in; get it from its author again"
            )
