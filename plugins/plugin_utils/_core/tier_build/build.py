# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds one tier: starts the build container on the parent's image, and seals it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from .. import stopwatch
from ..agent import launch
from ..build_key.file_digests import Projects
from ..build_key.parts import digest_key
from ..chain.tier import Protection
from ..custody.build_facts import BuildTools
from ..engine import containers
from ..engine.confinement import Confinement, confined
from ..engine.docker_config import engine_address
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError, RunError
from ..image import labels, platform
from ..image.configuration import left_out_variables
from ..image.provenance import EARLIEST
from ..interpreter import apt_times, mounted_python
from ..layer import mounts
from ..plan.own_images import find_built
from ..sealing.seal import ImageSpec, seal
from ..sealing.stage_image import stage
from ..state.journal import Journal
from ..state.kept_builds import KeptBuild, request_keeping, resumed_build
from ..state.plan_records import Planned, read_plan
from ..state.tier_records import BuildRecord, read_build, write_build
from .build_notes import MadeImage, note_build
from .build_secrets import give_secrets, ssh_agent_mount, take_secrets
from .candidates import announce, hold, propose, propose_kept, propose_resumed
from .cleanup import clear_build, container_name
from .file_access import digest_accessed
from .keeping import discard, discard_earlier, wake
from .parent import check_parent
from .service_end import end_services
from .tasks import timeline, wait_for_jobs

#: The Python of distributions whose Python Tierwright cannot mount.
_SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class RoleUse:
    """What a role used while it was applied."""

    #: More parts of the tier's key: the sources.
    parts: Mapping[str, str] = field(default_factory=dict)
    #: What the controller says about itself, for the facts about the build.
    tools: BuildTools = field(default_factory=BuildTools)
    #: The secrets of the build, by name. The layer must not contain them.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


_NOTHING = RoleUse()


class StartedBuild(msgspec.Struct, frozen=True):
    """A running build container, ready for the role."""

    #: Its name.
    container: str
    #: Path of the Python for modules, in the container.
    python: str


def spare(engine: Engine, journal: Journal, planned: Planned, parent_id: str) -> Image | None:
    """Keep a tier after all if it was built before on the new image of its parent.

    Args:
        engine: The engine.
        journal: The journal of the run.
        planned: The plan for the tier.
        parent_id: ID of the parent's image.

    Returns:
        The tier's earlier image, which becomes its candidate; ``None`` if the tier must be built.

    Raises:
        EngineError: The engine does not answer.
    """
    if planned.forced:
        return None
    tier = planned.tier
    for recorded in planned.elsewhere or ({},):
        key = digest_key({**planned.parts, **recorded, "parent": parent_id})
        image = find_built(engine.images.find, tier, key)
        if image is not None:
            propose_kept(engine, journal, tier, image.id, f"kept, built before on this image of parent {tier.parent}")
            return image
    return None


def start(
    engine: Engine,
    journal: Journal,
    planned: Planned,
    parent_id: str,
    *,
    python: str | None,
    secrets: Mapping[str, str] = MappingProxyType({}),
    say: Callable[[str], None],
) -> StartedBuild:
    """Start the tier's build container on exactly the image ``parent_id``.

    Args:
        engine: The engine.
        journal: The journal of the run.
        planned: The plan for the tier.
        parent_id: ID of the parent's image.
        python: Path of the image's own Python, for modules; ``None`` mounts a copy of the distribution's Python.
        secrets: The secrets that its tasks may use, by name.
        say: Called with each line to print, for example before a step that takes time.

    Raises:
        SourceError: No Python for modules can be made, or there is no SSH agent.
        EngineError: The engine rejected a request, or the parent's image was removed.
        DamagedError: The record of a kept build of the tier cannot be read.
    """
    name = planned.tier.name
    discard_earlier(engine, planned, say)
    parent_image = engine.images.get(parent_id)
    platform.check_depth(engine, name, parent_image)
    if unset := left_out_variables(parent_image.config.get("Env") or ()):
        say(f"variables of its parent that are not set during the build, as they change programs: {', '.join(unset)}")
    mounts, environment = [], {}
    if python is None:
        with stopwatch.measured("find or make the mounted Python"), journal.lock("interpreter"):
            mounted = mounted_python.ensure(engine, tier=name, parent_image=parent_image, run=journal.run, say=say)
        if mounted:
            mounts = [mounted.mount, mounted_python.cache_mount(engine, parent_image)]
            environment = mounted.environment(measured=stopwatch.is_running())
        python = mounted.python if mounted else _SYSTEM_PYTHON
    if planned.tier.ssh_agent:
        mounts.append(ssh_agent_mount(name, engine_address()))
    with stopwatch.measured("make the stage image"):
        stage_id = stage(engine, parent_image, journal.run, name)
    epoch = epoch_of(planned, parent_image)
    family = parent_image.labels.get(labels.FAMILY)
    confinement = confined(engine.system, planned.tier.cage, family=family, say=say, mounts=mounts)
    with stopwatch.measured("start the container"):
        container = _start_container(
            engine,
            name=container_name(journal.run, name),
            python=python,
            image=stage_id,
            tier=name,
            labels={**labels.work(journal.run, name), labels.CHAIN: planned.chain},
            confined=confinement,
            environment={**environment, containers.EPOCH: str(epoch)},
        )
    to_look_at = engine.images.engine_name(parent_id)
    write_build(journal, name, BuildRecord(container.id, stage_id, parent_id, epoch, to_look_at))
    give_secrets(engine, name, container.id, secrets)
    return StartedBuild(container.name, python)


def resume(
    engine: Engine, journal: Journal, kept: KeptBuild, *, secrets: Mapping[str, str] = MappingProxyType({})
) -> StartedBuild:
    """Go on in the kept container of a failed build.

    Args:
        engine: The engine.
        journal: The journal of the run.
        kept: The failed build.
        secrets: The secrets that its tasks may use, by name. Those of the failed build ended with its processes.

    Raises:
        NotFoundError: Somebody removed the container.
        EngineError: The engine cannot start the container.
    """
    wake(engine, kept)
    record = BuildRecord(kept.container, kept.stage, kept.parent, kept.epoch, kept.to_look_at)
    write_build(journal, kept.tier, record)
    request_keeping(journal, kept.tier, kept.request)
    give_secrets(engine, kept.tier, kept.container, secrets)
    return StartedBuild(kept.name, kept.request.python)


def _start_container(
    engine: Engine, *, name: str, python: str, confined: Confinement, **settings: Any
) -> containers.BuildContainer:
    """Start a build container with the folder for its agent's socket, or without it if the engine cannot mount it.

    Even an engine behind a local socket can be on a different machine, or see a different file system.
    """
    agent_mount = launch.agent_mount(engine_address(), name)
    try:
        with_agent = replace(confined, mounts=(*confined.mounts, *agent_mount))
        with launch.agent_ahead(engine_address(), name, python):
            return engine.containers.start(name=name, confined=with_agent, **settings)
    except EngineError:
        launch.remove_agent_folder(engine_address(), name)
        if not agent_mount:
            raise
    return engine.containers.start(name=name, confined=confined, **settings)


def seal_tier(
    engine: Engine,
    journal: Journal,
    name: str,
    declared: Mapping[str, Any],
    protects: tuple[str, ...] = (),
    used: RoleUse = _NOTHING,
    *,
    say: Callable[[str], None],
) -> Image:
    """Seal the tier's build container, make the image the tier's candidate, and remove the container.

    Args:
        engine: The engine.
        journal: The journal of the run.
        name: Name of the tier.
        declared: Its checked ``tier_config``.
        protects: Its checked ``tier_protects``.
        used: What its role used, except files outside the role.
        say: Called with each line to print: what is left out of its layer, and what the seal waits for.

    Raises:
        RunError: No build of the tier was started in this run, or its parent failed meanwhile.
        SealError: The role left something that the tier's layer must not or cannot contain.
        EngineError: The engine rejected a request.
    """
    planned, build = read_plan(journal, name), read_build(journal, name)
    if build is None:
        raise RunError(f"tier {name!r} has no build container in run {journal.run}")
    wait_for_jobs(engine, journal, name, build.container, say)
    end_services(engine, name, build.container, say)
    if used.secrets:
        take_secrets(engine, name, build.container)
    if stopwatch.is_running():
        apt_times.collect(engine, build.container)
    tier, parent_image = planned.tier, engine.images.get(build.parent)
    in_key = (*planned.roles, *tier.before, *tier.after)
    with stopwatch.measured("digest what the role read"):
        recorded = {**digest_accessed(journal, name, in_key, Projects(planned.projects)), **used.parts}
    mounts.check_volumes(engine, tier=name, container=build.container, parent_image=parent_image, declared=declared)
    inherited = labels.protections(parent_image.labels)
    parts = {**planned.parts, **recorded, "parent": parent_image.id}
    resumed = resumed_build(journal, name)
    identity = labels.identity(
        planned.chain,
        tier,
        parts,
        parent_image.labels.get(labels.FAMILY),
        commit=planned.commit,
        protects=(*inherited, Protection(name, tier.team, protects)),
        resumed=journal.run if resumed else None,
    )
    created_by = f"{'roles' if tier.more_roles else 'role'} {tier.role_names}" + (
        f" at {planned.commit.name}" if planned.commit else ""
    )
    spec = ImageSpec(
        tier,
        created_by,
        build.epoch,
        declared,
        identity,
        parent_image,
        protected=inherited,
        timeline=timeline(journal, name),
        secrets=used.secrets,
        announce=partial(announce, journal, name),
    )
    if resumed:
        image = hold(engine, journal, tier, lambda: seal(engine, build.container, spec, say=say))
        propose_resumed(engine, journal, tier, image)
        discard(engine, resumed)
        return image
    check_parent(journal, planned)
    image = hold(engine, journal, tier, lambda: seal(engine, build.container, spec, say=say))
    with stopwatch.measured("propose the image"):
        candidate = propose(engine, journal, planned.tier, image)  # first: from now on, children can start
    with stopwatch.measured("remove the container"):
        clear_build(engine, journal, name)
    began = journal.moment("build", name) or time.time()
    has_own_layer = len(image.layers) > len(parent_image.layers)
    made = MadeImage(image, has_own_layer, parent_image, parts, build.epoch, began)
    with stopwatch.measured("note the build"):
        note_build(planned, journal.run, candidate, made, used.tools, say)
    return candidate


def epoch_of(planned: Planned, parent_image: Image) -> int:
    """Return the epoch of a tier's image, in seconds since 1970: its time, and the latest time in its layer.

    It is the epoch that the inventory sets. Otherwise, it is the later of two times: the last commit of the role, and
    the time of the parent's image.
    """
    if planned.tier.epoch is not None:
        return planned.tier.epoch
    return max(parent_image.created, planned.commit.date if planned.commit else 0, EARLIEST)
