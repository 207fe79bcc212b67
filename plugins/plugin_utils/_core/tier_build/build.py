# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One tier's build, from its parent's image to its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ..agent import launch
from ..build_key.file_digests import Projects
from ..build_key.parts import digest_key
from ..chain.tier import Protection
from ..engine import containers
from ..engine.confinement import Confinement, confined
from ..engine.docker_config import engine_address
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError, RunError
from ..image import labels, platform
from ..image.configuration import left_out_variables
from ..image.provenance import EARLIEST
from ..interpreter import mounted_python
from ..layer import mounts
from ..plan.decision import find_built
from ..sealing.seal import Design, seal
from ..sealing.stage_image import stage
from ..state.journal import Journal
from ..state.plan_records import Planned, read_plan
from .candidates import announce, hold, propose, propose_kept
from .cleanup import clear_build, container_name
from .file_access import digest_taken
from .tasks import timeline, wait_for_jobs

#: Where distributions keep Python that there is no recipe for.
_SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class StartedBuild:
    """A build container that a role can be applied in."""

    #: Its name.
    container: str
    #: Path of the Python that modules run with, in the container.
    python: str


def wait_for_parent(journal: Journal, planned: Planned) -> str:
    """Wait until the tier's parent is there.

    Returns:
        The ID of the parent's image.

    Raises:
        RunError: The parent failed, or the run has ended.
    """
    tier = planned.tier
    if tier.parent is None:
        raise RunError(f"tier {tier.name!r} stands on nothing; it is a base")
    if "parent" in planned.parts and not read_plan(journal, tier.parent).runs:
        return planned.parts["parent"]
    outcome = journal.wait(tier.parent)
    if outcome.image is None:
        raise RunError(f"tier {tier.name!r} is not built: its parent {tier.parent!r} failed")
    return outcome.image


def spare(engine: Engine, journal: Journal, planned: Planned, parent_id: str) -> Image | None:
    """Spare a tier its build if its parent came out as an image that the tier was built on before.

    Args:
        engine: The engine.
        journal: The run.
        planned: What the plan says of the tier.
        parent_id: ID of the parent's image.

    Returns:
        The tier's image, its candidate now; ``None`` if the tier has to be built.

    Raises:
        EngineError: The engine does not answer.
    """
    if planned.forced:
        return None
    tier = planned.tier
    for taken in planned.elsewhere or ({},):
        key = digest_key({**planned.parts, **taken, "parent": parent_id})
        image = find_built(engine.images.find, tier, key)
        if image is not None:
            propose_kept(engine, journal, tier, image.id, f"kept, parent {tier.parent} came out the same")
            return image
    return None


def start(
    engine: Engine,
    journal: Journal,
    planned: Planned,
    parent_id: str,
    *,
    python: str | None,
    say: Callable[[str], None],
) -> StartedBuild:
    """Start the tier's build container on exactly the image ``parent_id``.

    Args:
        engine: The engine.
        journal: The run.
        planned: What the plan says of the tier.
        parent_id: ID of the parent's image.
        python: The image's own Python, for modules to run with; ``None`` mounts one.
        say: Called with a line before something that takes time.

    Raises:
        SourceError: No Python can be made for modules to run with.
        EngineError: The engine refused, or the parent's image is gone.
    """
    name = planned.tier.name
    below = engine.images.get(parent_id)
    platform.check_depth(engine, name, below)
    if unset := left_out_variables(below.config.get("Env") or ()):
        say(f"its parent's {', '.join(unset)} are not set while it is built: they change how programs start")
    mounts, environment = [], {}
    if python is None:
        with journal.alone("interpreter"):
            made = mounted_python.ensure(engine, tier=name, parent_image=below, run=journal.run, say=say)
        if made:
            mounts, environment = [made.mount, mounted_python.cache_mount(engine, below)], made.environment
        python = made.python if made else _SYSTEM_PYTHON
    staged = stage(engine, below, journal.run, name)
    epoch = epoch_of(planned, below)
    caged = confined(engine.system, planned.tier.cage, family=below.labels.get(labels.FAMILY), say=say, mounts=mounts)
    container = _start_container(
        engine,
        name=container_name(journal.run, name),
        image=staged,
        tier=name,
        labels={**labels.work(journal.run, name), labels.CHAIN: planned.chain},
        confined=caged,
        environment={**environment, containers.EPOCH: str(epoch)},
    )
    told = {"container": container.id, "stage": staged, "parent": parent_id, "epoch": epoch}
    journal.write("build", name, {**told, "to_look_at": engine.images.called(parent_id)})
    return StartedBuild(container.name, python)


def _start_container(engine: Engine, *, name: str, confined: Confinement, **settings: Any) -> containers.BuildContainer:
    """Start a build container with the folder for its agent's socket, or without where the engine cannot have it.

    An engine behind a local socket may still be another machine's, or see another file system than we do.
    """
    meeting_place = launch.agent_mount(engine_address(), name)
    try:
        here = replace(confined, mounts=(*confined.mounts, *meeting_place))
        return engine.containers.start(name=name, confined=here, **settings)
    except EngineError:
        launch.remove_agent_folder(engine_address(), name)
        if not meeting_place:
            raise
    return engine.containers.start(name=name, confined=confined, **settings)


def seal_tier(
    engine: Engine,
    journal: Journal,
    name: str,
    declared: Mapping[str, Any],
    protects: tuple[str, ...] = (),
    used: Mapping[str, str] = MappingProxyType({}),
    *,
    say: Callable[[str], None],
) -> Image:
    """Seal the tier's build container, remove it, and make the image the tier's candidate.

    Args:
        engine: The engine.
        journal: The run.
        name: The tier.
        declared: Its checked ``tier_config``.
        protects: Its checked ``tier_protects``.
        used: Parts of its key: what its role used besides files from elsewhere.
        say: Called with each line about what is left out of its layer, or waited for.

    Raises:
        RunError: No build of the tier was started in this run.
        SealError: The role left something that the tier's layer may not or cannot hold.
        EngineError: The engine refused.
    """
    planned, build = read_plan(journal, name), journal.read("build", name)
    if build is None:
        raise RunError(f"tier {name!r} has no build container in run {journal.run}")
    wait_for_jobs(engine, journal, name, build["container"], say)
    tier, parent = planned.tier, engine.images.get(build["parent"])
    known = (*planned.roles, *tier.before, *tier.after)
    taken = {**digest_taken(journal, name, known, Projects(planned.projects)), **used}
    mounts.check_volumes(engine, tier=name, container=build["container"], parent_image=parent, declared=declared)
    inherited = labels.protections(parent.labels)
    identity = labels.identity(
        planned.chain,
        tier,
        {**planned.parts, **taken, "parent": parent.id},
        parent.labels.get(labels.FAMILY),
        commit=planned.commit,
        protects=(*inherited, Protection(name, tier.team, protects)),
    )
    doing = f"role {tier.role}" + (f" at {planned.commit.name}" if planned.commit else "")
    design = Design(
        tier,
        doing,
        build["epoch"],
        declared,
        identity,
        parent,
        protected=inherited,
        timeline=timeline(journal, name),
        announce=partial(announce, journal, name),
    )
    image = hold(engine, journal, tier, lambda: seal(engine, build["container"], design, say=say))
    clear_build(engine, journal, name)
    return propose(engine, journal, planned.tier, image)


def epoch_of(planned: Planned, parent_image: Image) -> int:
    """Say what time a tier's image is of, and the latest in its layer, in seconds since 1970.

    It is what the tier says; else when its role was last committed, or the parent's time, whichever is later.
    """
    if planned.tier.epoch is not None:
        return planned.tier.epoch
    return max(parent_image.created, planned.commit.date if planned.commit else 0, EARLIEST)
