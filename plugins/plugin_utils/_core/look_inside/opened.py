# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens a container to look into a tier: the kept one of its failed build, or a throw-away one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator

import msgspec

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import NotFoundError, UsageError
from ..image import labels
from ..state.journal import chains, runs, state_folder
from ..state.kept_builds import KeptBuild, kept_build, resumed_build
from ..state.run_log import read_logs
from ..state.status import FAILED, Standing, read_status
from ..text import short
from ..tier_build.keeping import put_to_sleep, wake
from . import throw_away

Say = Callable[[str], None]


class KnownTier(msgspec.Struct, frozen=True):
    """A tier that a plan on this machine has seen, or whose failed build is kept."""

    chain: str
    name: str
    #: Its status; ``None`` if it is not in the last plan any more.
    standing: Standing | None
    kept: KeptBuild | None


def find_tier(name: str, chain: str | None) -> KnownTier:
    """Find a tier in the state folder of this user.

    Args:
        name: Its name.
        chain: Its chain; ``None`` if only one chain has a tier of this name.

    Raises:
        UsageError: Several chains have such a tier.
        NotFoundError: No chain has one.
        DamagedError: The status of a chain, or the record of a kept build, cannot be read.
    """
    found = []
    for each in chains() if chain is None else [chain]:
        standing, kept = read_status(each).get(name), kept_build(each, name)
        if standing is not None or kept is not None:
            found.append(KnownTier(each, name, standing, kept))
    if not found:
        of_chain = "" if chain is None else f" of chain {chain!r}"
        raise NotFoundError(
            f"no plan of this user on this machine has seen a tier {name!r}{of_chain}; make one first: "
            "ansible-playbook build-chain.yml --check"
        )
    if len(found) > 1:
        names = ", ".join(tier.chain for tier in found)
        raise UsageError(f"several chains have a tier {name!r}: {names}; choose one with --chain")
    return found[0]


@contextlib.contextmanager
def opened(engine: Engine, tier: KnownTier, say: Say, *, released: bool) -> Iterator[str]:
    """Open a container to look into a tier, and close it afterwards.

    It is the kept container of the tier's failed build. Without one, it is a throw-away container: of the image that
    failed its tests in the last run, of the released image, or on the image of the parent if the tier has no image.

    Args:
        engine: The engine.
        tier: The tier.
        say: Called with the line that names the container, and with others.
        released: Whether only the released image counts.

    Yields:
        ID of the running container.

    Raises:
        NotFoundError: Neither the tier nor its parent has an image.
        EngineError: The engine rejected a request.
    """
    if tier.kept is not None and not released:
        with _open_kept(engine, tier.kept):
            say(
                f"{tier.name}: this is the container of the build that failed in run {tier.kept.run}: "
                f"{tier.kept.reason}. Changes stay until the next build of the tier"
            )
            yield tier.kept.container
        return
    started = _start(engine, tier, say, released=released)
    try:
        yield started.container
    finally:
        throw_away.remove(engine, started)


def _start(engine: Engine, tier: KnownTier, say: Say, *, released: bool) -> throw_away.ThrowAway:
    rejected = None if released else _rejected_image(engine, tier)
    image = rejected or _own_image(engine, tier.standing, released=released)
    if image is not None:
        what = "the image that failed its tests" if rejected else "its image"
        say(f"{tier.name}: this is a throw-away container of {what}, {short(image.id)}; it is removed at the end")
        return throw_away.start_of_image(engine, image, tier.name, os.getpid(), say)
    parent = tier.standing.parent if tier.standing else None
    above = read_status(tier.chain).get(parent or "")
    parent_image = _own_image(engine, above, released=False)
    if parent_image is None or tier.standing is None or released:
        raise NotFoundError(
            f"tier {tier.name!r} has no image"
            + ("" if released or parent is None else f", nor has its parent {parent!r}")
            + f"; build the chain: ansible-playbook build-chain.yml --limit {tier.name}"
        )
    say(
        f"{tier.name}: it was never built, so this is a fresh build container on the image of its parent {parent!r}, "
        f"{short(parent_image.id)}; it is removed at the end"
    )
    return throw_away.start_build(engine, parent_image, tier.name, tier.standing.cage, os.getpid(), say)


def _rejected_image(engine: Engine, tier: KnownTier) -> Image | None:
    """Return the image that failed its tests in the tier's last run; ``None`` if it did not, or if it is gone."""
    ended = tier.standing.ended if tier.standing else None
    if ended is None or ended.result != FAILED:
        return None
    tested = next((log.tests for log in reversed(read_logs(tier.chain, tier.name)) if log.run == ended.run), None)
    return engine.images.find(tested.image) if tested and not tested.passed else None


def _own_image(engine: Engine, standing: Standing | None, *, released: bool) -> Image | None:
    """Return the released image of a tier, or else the image that it got in its last run."""
    if standing is None:
        return None
    image = engine.images.find(standing.release)
    if (image is None or image.labels.get(labels.TIER) != standing.tier) and not released:
        image = engine.images.find(standing.ended.image) if standing.ended and standing.ended.image else None
    return image if image is not None and image.labels.get(labels.TIER) == standing.tier else None


@contextlib.contextmanager
def _open_kept(engine: Engine, kept: KeptBuild) -> Iterator[None]:
    """Start a kept container. The last process that uses it stops it again."""
    folder = state_folder(kept.chain) / "kept"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "users.lock").open("a+b") as file:
        fcntl.lockf(file, fcntl.LOCK_SH)
        wake(engine, kept)
        try:
            yield
        finally:
            with contextlib.suppress(BlockingIOError, PermissionError):  # somebody else uses it
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if engine.containers.exists(kept.container) and not _is_resumed(kept):
                    put_to_sleep(engine, kept)


def _is_resumed(kept: KeptBuild) -> bool:
    return any(journal.is_alive() and resumed_build(journal, kept.tier) for journal in runs(kept.chain))
