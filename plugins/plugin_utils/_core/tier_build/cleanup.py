# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clearing away what a run made for itself: build containers, nameless images, interpreters half-made."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ..agent import launch
from ..build_key.parts import digest_bytes
from ..engine.docker_config import engine_address
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..image.labels import CHAIN, RUN, TIER
from ..image.provenance import Repositories
from ..interpreter import mounted_python
from ..sealing.stage_image import is_stage
from ..state.journal import Journal, began, runs, runs_folder
from ..state.plan_records import read_plan
from .candidates import holding, let_all_go, let_go

#: No run goes on for longer.
_LONGEST = timedelta(hours=24)


def container_name(run: str, tier: str) -> str:
    """Name of the build container of ``tier`` in ``run``: no other tier's, also where an engine takes no such name."""
    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", tier)
    return f"tierwright-{run}-{name}" if name == tier else f"tierwright-{run}-{name}-{digest_bytes(tier.encode())[:8]}"


def clear_run(engine: Engine, run: str) -> int:
    """Remove what ``run`` made for itself on the engine: containers, networks, images to build on, interpreters.

    Returns:
        How many containers were removed.

    Raises:
        EngineError: The engine refused.
    """
    mine = f"{RUN}={run}"
    left = _containers(engine, mine)
    for container, found in left:
        engine.containers.remove(container)
        launch.remove_agent_folder(engine_address(), container_name(run, found.get(TIER, "")))
    for network, _labels in engine.networks.find(mine):
        engine.networks.remove(network)
    for image, _labels in engine.images.nameless(mine):
        if is_stage(engine, image):
            engine.images.remove(image)
    mounted_python.clear(engine, run)
    return len(left)


def clear_build(engine: Engine, journal: Journal, tier: str) -> None:
    """Remove the build container and the stage image of one tier; either may be gone already.

    Raises:
        EngineError: The engine refused.
    """
    build = journal.read("build", tier)
    if build is not None:
        engine.containers.remove(build["container"])
        launch.remove_agent_folder(engine_address(), container_name(journal.run, tier))
        engine.images.remove(build["stage"])


def clear_tier(engine: Engine, journal: Journal, tier: str) -> None:
    """Remove the build container and the stage image of one tier, and let go of what it made.

    Raises:
        EngineError: The engine refused.
    """
    clear_build(engine, journal, tier)
    let_go(engine, journal, read_plan(journal, tier).tier)


def clear_ended_runs(engine: Engine, chain: str, but: Journal) -> list[str]:
    """Remove what killed runs over ``chain`` left behind, journals included.

    They are those of this state folder, and what they made is told by their journals: what others build looks the same.

    Args:
        engine: The engine.
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
        clear_run(engine, journal.run)
        let_all_go(engine, journal)
        journal.end()
        cleared.append(journal.run)
    return cleared


def abandoned_runs(engine: Engine, chain: str, owned: Repositories, names: Names) -> list[str]:
    """List runs over ``chain`` that left something and that nobody will clear away.

    Their journals are gone, or on another machine, and they began a day ago or earlier.

    Args:
        engine: The engine.
        chain: The chain's name.
        owned: The repositories of its tiers.
        names: All names on the engine.

    Raises:
        EngineError: The engine refused.
    """
    mine = f"{CHAIN}={chain}"
    found = [*_containers(engine, mine), *engine.networks.find(mine)]
    left = {said[RUN] for _id, said in found if RUN in said}
    repositories = {each for mine in owned.values() for each in mine}
    left.update(run for each in repositories for run in holding(names.get(each, {})))
    return sorted(run for run in left if is_abandoned(chain, run))


def is_abandoned(chain: str, run: str) -> bool:
    """Say whether a run ended long ago, by its identifier, and nobody will clear it away."""
    return began(run) < datetime.now(UTC) - _LONGEST and not Journal(runs_folder(chain) / run).is_alive()


def _containers(engine: Engine, label: str) -> list[tuple[str, dict[str, str]]]:
    """List containers that were given ``label``; one of an image that somebody made of a build container was not."""
    theirs = [image for image in engine.images.labelled(RUN) if not is_stage(engine, image)]
    return engine.containers.find(label, but_of=theirs)
