# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One deployment of a site at a time, from one machine and user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..chain.names import file_name
from ..local_files import is_locked, lock, state

#: Longer than a roll-out of a site whose containers all start slowly.
_SECONDS = 1800


@contextmanager
def site_lock(site: str) -> Iterator[None]:
    """Hold the lock of a site. A second deployment waits for it.

    Raises:
        RunError: The other deployment did not end in time, or the playbook has ended.
    """
    path = _path(site)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab") as file:
        lock(file, _SECONDS)
        yield


def is_being_deployed(site: str) -> bool:
    """Say whether a different process deploys a site at this moment, from this machine and user."""
    return is_locked(_path(site))


def _path(site: str) -> Path:
    return state() / "sites" / file_name(site) / "lock"
