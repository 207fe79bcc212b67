# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clearing away what a run made for itself: build containers, nameless images, interpreters half-made."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import docker

from ..agent import place
from ..engine import containers, images, networks
from ..engine.address import engine_address
from ..image import interpreter, own
from ..image.labels import CHAIN, RUN, TIER
from ..keys.parts import digest_bytes
from .candidates import discard
from .journal import Journal, began, runs, runs_folder

#: No run goes on for longer.
_LONGEST = timedelta(hours=24)


def container_name(run: str, tier: str) -> str:
    """Name of the build container of ``tier`` in ``run``: no other tier's, also where an engine takes no such name."""
    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", tier)
    return f"tierwright-{run}-{name}" if name == tier else f"tierwright-{run}-{name}-{digest_bytes(tier.encode())[:8]}"


def clear_run(client: docker.DockerClient, run: str) -> int:
    """Remove what ``run`` left on the engine.

    Returns:
        How many containers were removed.

    Raises:
        EngineError: The engine refused.
    """
    mine = f"{RUN}={run}"
    left = containers.find(client, mine)
    for container, found in left:
        containers.remove(client, container)
        place.remove(engine_address(), container_name(run, found.get(TIER, "")))
    for network, _labels in networks.find(client, mine):
        networks.remove(client, network)
    for image, _labels in images.nameless(client, mine):
        images.remove(client, image)
    interpreter.clear(client, run)
    return len(left)


def clear_tier(client: docker.DockerClient, journal: Journal, tier: str) -> None:
    """Remove the build container, the stage image and the nameless candidate of one tier; any may be gone already.

    Raises:
        EngineError: The engine refused.
    """
    build = journal.read("build", tier)
    if build is not None:
        containers.remove(client, build["container"])
        place.remove(engine_address(), container_name(journal.run, tier))
        images.remove(client, build["stage"])
    discard(client, journal, tier)


def clear_ended_runs(client: docker.DockerClient, chain: str, but: Journal) -> list[str]:
    """Remove what killed runs over ``chain`` left behind, journals included.

    Args:
        client: The engine.
        chain: The chain's name.
        but: The run that this is done in.

    Returns:
        The runs' identifiers.

    Raises:
        EngineError: The engine refused.
    """
    cleared = []
    for journal in runs(chain):
        if journal.run == but.run or journal.is_alive():
            continue
        clear_run(client, journal.run)
        for image in own.nameless(client, chain):  # sealed, and killed before it got its name
            images.remove(client, image.id)
        journal.end()
        cleared.append(journal.run)
    return cleared


def abandoned_runs(client: docker.DockerClient, chain: str) -> list[str]:
    """List runs over ``chain`` that left containers or networks and that nobody will clear away.

    Their journals are gone, or on another machine, and they began a day ago or earlier.

    Raises:
        EngineError: The engine refused.
    """
    before = datetime.now(UTC) - _LONGEST
    mine = f"{CHAIN}={chain}"
    found = [*containers.find(client, mine), *networks.find(client, mine)]
    left = {said[RUN] for _id, said in found if RUN in said}
    return sorted(run for run in left if began(run) < before and not Journal(runs_folder(chain) / run).is_alive())
