# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removes the temporary things of a run: build containers, untagged images, unfinished interpreters."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from .. import stopwatch
from ..agent import launch
from ..build_key.parts import digest_bytes
from ..engine.docker_config import engine_address
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..image.labels import CHAIN, RUN, TIER
from ..image.provenance import Repositories
from ..interpreter import apt_times, mounted_python
from ..sealing.stage_history import is_stage
from ..state.journal import Journal, runs, runs_folder, start_time
from ..state.kept_builds import kept_builds, resumed_build
from ..state.plan_records import read_plan
from ..state.tier_records import read_build
from .candidates import drop_all_holds, drop_hold, holding_runs

#: No run takes longer.
_LONGEST_RUN = timedelta(hours=24)


def container_name(run: str, tier: str) -> str:
    """Return the name of the build container of ``tier`` in ``run``.

    If the tier's name contains characters that engines do not allow, a digest keeps the container's name unique.
    """
    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", tier)
    return f"tierwright-{run}-{name}" if name == tier else f"tierwright-{run}-{name}-{digest_bytes(tier.encode())[:8]}"


def clear_run(engine: Engine, run: str) -> int:
    """Remove the temporary things of ``run`` from the engine: containers, networks, stage images, interpreters.

    Containers of failed tiers that the run was asked to keep stay.

    Returns:
        How many containers were removed.

    Raises:
        EngineError: The engine rejected a request.
    """
    label = f"{RUN}={run}"
    found = _find_containers(engine, label)
    chains = {container_labels[CHAIN] for _container, container_labels in found if CHAIN in container_labels}
    kept = [each for chain in sorted(chains) for each in kept_builds(chain)]
    left = [entry for entry in found if entry[0] not in {each.container for each in kept}]
    for container, container_labels in left:
        engine.containers.remove(container)
        launch.remove_agent_folder(engine_address(), container_name(run, container_labels.get(TIER, "")))
    for network, _labels in engine.networks.find(label):
        engine.networks.remove(network)
    for image, _labels in engine.images.untagged(label):
        if image not in {each.stage for each in kept} and is_stage(engine, image):
            engine.images.remove(image)
    mounted_python.clear(engine, run)
    return len(left)


def clear_build(engine: Engine, journal: Journal, tier: str) -> None:
    """Remove the build container and the stage image of one tier, as far as they exist.

    Raises:
        EngineError: The engine rejected a request.
    """
    build = read_build(journal, tier)
    if build is not None:
        engine.containers.remove(build.container)
        launch.remove_agent_folder(engine_address(), container_name(journal.run, tier))
        engine.images.remove(build.stage)


def clear_tier(engine: Engine, journal: Journal, tier: str) -> None:
    """Remove the build container and the stage image of one tier, and the tag that holds its image.

    Raises:
        EngineError: The engine rejected a request.
    """
    build = read_build(journal, tier)
    if build is not None and stopwatch.is_running():
        apt_times.collect(engine, build.container)
    clear_build(engine, journal, tier)
    drop_hold(engine, journal, read_plan(journal, tier).tier)


def clear_ended_runs(engine: Engine, chain: str, but: Journal) -> list[str]:
    """Remove what killed runs over ``chain`` left behind, and their journals.

    Only runs in this state folder are cleared. Their journals say what they made: the images of other users look the
    same.

    Args:
        engine: The engine.
        chain: The chain's name.
        but: The current run, which is not cleared.

    Returns:
        The IDs of the cleared runs.

    Raises:
        EngineError: The engine rejected a request.
    """
    cleared = []
    for journal in runs(chain):
        if journal.run == but.run or journal.is_alive():
            continue
        clear_run(engine, journal.run)
        stop_resumed(engine, journal)
        drop_all_holds(engine, journal)
        journal.end()
        cleared.append(journal.run)
    return cleared


def stop_resumed(engine: Engine, journal: Journal) -> None:
    """Stop the container of the failed build that a run resumed, if the run left it running.

    Raises:
        EngineError: The engine rejected a request.
    """
    for tier in journal.recorded("resume"):
        resumed = resumed_build(journal, tier)
        if resumed is not None and engine.containers.exists(resumed.container):
            engine.containers.end(resumed.container)


def abandoned_runs(engine: Engine, chain: str, owned: Repositories, names: Names) -> list[str]:
    """List the abandoned runs over ``chain`` that left something behind.

    They began more than a day ago, and their journals were removed or are on a different machine. So no run will clear
    them.

    Args:
        engine: The engine.
        chain: The chain's name.
        owned: The repositories of its tiers.
        names: All image names on the engine.

    Raises:
        EngineError: The engine rejected a request.
    """
    label = f"{CHAIN}={chain}"
    labelled = [*_find_containers(engine, label), *engine.networks.find(label)]
    kept = {each.container for each in kept_builds(chain)}
    left = {found_labels[RUN] for found, found_labels in labelled if RUN in found_labels and found not in kept}
    repositories = {repository for of_tier in owned.values() for repository in of_tier}
    left.update(run for repository in repositories for run in holding_runs(names.get(repository, {})))
    return sorted(run for run in left if is_abandoned(chain, run))


def is_abandoned(chain: str, run: str) -> bool:
    """Say whether a run began long ago, according to its ID, and is not active."""
    return start_time(run) < datetime.now(UTC) - _LONGEST_RUN and not Journal(runs_folder(chain) / run).is_alive()


def _find_containers(engine: Engine, label: str) -> list[tuple[str, dict[str, str]]]:
    """Find the containers that have ``label`` themselves.

    A container also shows the labels of its image. If a user commits an image from a build container, the containers of
    that image show the labels of a run. They are excluded.
    """
    committed = [image for image in engine.images.labelled(RUN) if not is_stage(engine, image)]
    return engine.containers.find(label, except_images=committed)
