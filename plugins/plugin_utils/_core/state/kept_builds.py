# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failed builds whose container is kept (``tier_keep_failed``): what is known about them after their run has ended.

The journal of a run is removed at its end. Each kept build has a record in the chain's state folder, which decides
whether a build container is kept or left over: labels of a container cannot change after it was started.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..chain.names import file_name
from ..errors import DamagedError, RunError, describe_error
from ..local_files import write_atomically
from ..records import decode, encode
from .journal import Journal, chains, state_folder

_FOLDER = "kept"
_REQUEST, _RESUMED = "keep", "resume"


class PastTask(msgspec.Struct, frozen=True):
    """A task that was run in a build."""

    #: ``None`` for a task outside a role.
    role: str | None
    #: The name as it is written, with its variables.
    name: str
    #: Its file without the line, because lines move when a role is repaired; ``None`` outside a role.
    file: str | None
    #: ``ok``, ``changed``, ``skipped``, ``failed`` or ``unreachable``; ``started`` if its result is not known, or if it
    #: went on in the background.
    status: str


class KeepRequest(msgspec.Struct, frozen=True):
    """The wish to keep the container of a tier if its build fails."""

    #: Path of the Python for modules, in the container.
    python: str
    #: The inventories of the run, as absolute paths or lists of hosts.
    inventory: tuple[str, ...] = ()


class KeptBuild(msgspec.Struct, frozen=True):
    """A failed build whose container is kept. The container does not run."""

    chain: str
    tier: str
    #: The run that failed.
    run: str
    #: When the container was stopped, as an RFC 3339 time.
    when: str
    #: Address of the engine that has the container.
    engine: str
    #: ID and name of the container.
    container: str
    name: str
    #: ID of its stage image.
    stage: str
    #: ID of the parent's image, and the engine's name of it.
    parent: str
    to_look_at: str
    #: The latest time in the tier's layer, in seconds since 1970.
    epoch: int
    #: When the build began, in seconds since 1970.
    began: float
    #: Why it failed, in one line.
    reason: str
    request: KeepRequest
    #: The tasks of the build, in their order.
    tasks: tuple[PastTask, ...] = ()


def request_keeping(journal: Journal, tier: str, request: KeepRequest) -> None:
    """Record that the container of a tier is kept if its build fails."""
    journal.write(_REQUEST, tier, request)


def keep_request(journal: Journal, tier: str) -> KeepRequest | None:
    """Return the wish to keep a tier's container; ``None`` if it is removed in any case."""
    return journal.read_record(_REQUEST, tier, KeepRequest)


def requested(journal: Journal) -> list[str]:
    """Return the names of the tiers whose container is kept if their build fails."""
    return journal.recorded(_REQUEST)


def resume_build(journal: Journal, kept: KeptBuild) -> None:
    """Record that a run resumes a kept build. ``kept.tasks`` are the tasks that it must not repeat."""
    journal.write(_RESUMED, kept.tier, kept)


def resumed_build(journal: Journal, tier: str) -> KeptBuild | None:
    """Return the build that a run resumes for a tier; ``None`` if it builds the tier from the beginning."""
    return journal.read_record(_RESUMED, tier, KeptBuild)


def resumes(journal: Journal) -> bool:
    """Say whether a run resumes a failed build. Such a run releases nothing."""
    return bool(journal.recorded(_RESUMED))


def note_kept(kept: KeptBuild) -> None:
    """Record a kept build. Only the user can read the record.

    Raises:
        RunError: It cannot be written.
    """
    path = _path(kept.chain, kept.tier)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, encode(kept))
    except OSError as error:
        raise RunError(
            f"tier {kept.tier!r}: its failed build cannot be recorded in {path.parent} ({describe_error(error)}), so "
            "its container is not kept"
        ) from error


def forget_kept(kept: KeptBuild) -> None:
    """Remove the record of a kept build. It need not exist."""
    _path(kept.chain, kept.tier).unlink(missing_ok=True)


def kept_build(chain: str, tier: str) -> KeptBuild | None:
    """Return the kept build of a tier; ``None`` if there is none.

    Raises:
        DamagedError: Its record cannot be read.
    """
    path = _path(chain, tier)
    try:
        return decode(path.read_text(), KeptBuild)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedError(
            f"{path} cannot be read ({describe_error(error)}); remove it, and the container that it was about: "
            f"`docker ps --all --filter label=io.tierwright.tier={tier}` lists it"
        ) from error


def kept_builds(chain: str) -> Iterator[KeptBuild]:
    """Yield the kept builds of a chain, by tier. A damaged record is left out: nothing protects its container."""
    folder = state_folder(chain) / _FOLDER
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            yield decode(path.read_text(), KeptBuild)
        except (OSError, ValueError):
            continue


def all_kept_builds() -> Iterator[KeptBuild]:
    """Yield the kept builds of all chains in this user's state folder."""
    for chain in chains():
        yield from kept_builds(chain)


def _path(chain: str, tier: str) -> Path:
    return state_folder(chain) / _FOLDER / f"{file_name(tier)}.json"
