# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remembers the newest release record that this user has seen in each repository. So an older one is recognised."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from .. import local_files
from ..errors import RunError, TrustError, describe_error
from ..local_files import lock, own_reads, write_durably
from ..policy.freshness import SeenRelease
from ..records import decode, encode

#: The folder, in that of the state of all chains. No chain has such a name, because ``+`` is quoted in file names.
_FOLDER = "+releases"
_LOCK_SECONDS = 30.0


class RememberedRelease(msgspec.Struct, frozen=True):
    """The newest release record that was seen in a repository, as it is stored."""

    chain: str
    #: Host and repository: ``registry.example.org/operations/corebuild``.
    repository: str
    seen: SeenRelease


def read_seen(chain: str, repository: str) -> SeenRelease | None:
    """Return what was seen last; ``None`` if nothing was.

    Args:
        chain: The chain whose release it is.
        repository: Host and repository.

    Raises:
        TrustError: The memory is damaged, or cannot be read.
    """
    path = _file(chain, repository)
    try:
        with own_reads():
            stored = decode(path.read_bytes(), RememberedRelease)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TrustError(
            f"{path} is damaged ({describe_error(error)}), so an older release of {repository} could not be "
            "recognised; remove the file if the registry has the newest release now"
        ) from error
    if (stored.chain, stored.repository) != (chain, repository):
        raise TrustError(f"{path} is about {stored.repository} of chain {stored.chain!r}; remove the file")
    return stored.seen


def remember(chain: str, repository: str, seen: SeenRelease) -> None:
    """Remember a release record, unless a newer one was seen. It survives a crash of the machine.

    Args:
        chain: The chain whose release it is.
        repository: Host and repository.
        seen: The record.

    Raises:
        TrustError: It cannot be remembered.
    """
    path = _file(chain, repository)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("ab") as guard:
            lock(guard, _LOCK_SECONDS)
            before = read_seen(chain, repository)
            if before is None or before.serial < seen.serial:
                write_durably(path, encode(RememberedRelease(chain, repository, seen)))
    except (OSError, RunError) as error:
        raise TrustError(
            f"the release of {repository} cannot be remembered: {describe_error(error)}; correct the rights of "
            f"{path.parent}"
        ) from error


def _file(chain: str, repository: str) -> Path:
    name = hashlib.sha256(f"{chain}\n{repository}".encode()).hexdigest()
    return local_files.state() / _FOLDER / f"{name}.json"
