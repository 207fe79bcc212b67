# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the build container of a failed tier, removes it, and opens it again.

A kept container is stopped. Then no process of the role runs any more, and everything in memory is gone: environments
of processes, temporary files of Ansible, and other files on a tmpfs. Files in which Ansible keeps results or arguments
of modules on disk are removed first, because they contain what ``no_log`` hides. What the role itself wrote stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from ..agent import launch
from ..engine.containers import START_MARKER
from ..engine.docker_config import engine_address
from ..engine.engine import Engine
from ..engine.streams import Output
from ..errors import EngineError, NotFoundError
from ..state.journal import Journal
from ..state.kept_builds import (
    KeptBuild,
    all_kept_builds,
    forget_kept,
    keep_request,
    kept_build,
    kept_builds,
    note_kept,
    requested,
    resumed_build,
)
from ..state.plan_records import Planned, read_plan
from ..state.run_log import past_tasks
from ..state.tier_records import read_build
from .cleanup import container_name
from .parent import lost_parent, parent_in_run

#: Folders of Ansible on the disk of a container. They can contain arguments and results of modules: maybe secrets.
_ANSIBLE_FOLDERS = (".ansible_async", "ansible-tmp-[0-9]*", "ansible-moduletmp-[0-9]*", ".ansible_tmp*")
_CLEAN = "find / -xdev -type d \\( {} \\) -prune -exec rm -rf {{}} + 2>/dev/null; :".format(
    " -o ".join(f"-name '{name}'" for name in _ANSIBLE_FOLDERS)
)


def keep(engine: Engine, journal: Journal, name: str) -> KeptBuild | None:
    """Keep the build container of a failed tier, if the run was asked to, and if there is one.

    Returns:
        The kept build; ``None`` if nothing was kept. A tier is not kept if its parent failed, and not its own build.

    Raises:
        EngineError: The engine rejected a request.
        RunError: The build cannot be recorded.
    """
    request, build, planned = keep_request(journal, name), read_build(journal, name), read_plan(journal, name)
    if request is None or build is None or lost_parent(journal, name, parent_in_run(journal, planned)):
        return None
    try:
        running = engine.containers.inspect(build.container).running
    except EngineError:
        return None  # it was removed: the tier was sealed, or its container is gone
    resumed, outcome = resumed_build(journal, name), journal.outcome(name)
    kept = KeptBuild(
        chain=planned.chain,
        tier=name,
        run=journal.run,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=engine_address(),
        container=build.container,
        name=resumed.name if resumed else container_name(journal.run, name),
        stage=build.stage,
        parent=build.parent,
        to_look_at=build.to_look_at,
        epoch=build.epoch,
        began=resumed.began if resumed else journal.moment("build", name) or 0.0,
        reason=outcome.reason if outcome else "",
        request=request,
        tasks=past_tasks(journal, name),
    )
    if running:
        engine.exec.run(build.container, ["/bin/sh", "-c", _CLEAN], take=Output().take)
        engine.containers.end(build.container)
    note_kept(kept)
    launch.remove_agent_folder(kept.engine, kept.name)
    return kept


def keep_all(engine: Engine, journal: Journal) -> None:
    """Keep the containers of failed tiers that no task has kept, because their hosts became unreachable.

    Raises:
        EngineError: The engine rejected a request.
        RunError: A build cannot be recorded.
    """
    for name in requested(journal):
        outcome = journal.outcome(name)
        known = kept_build(read_plan(journal, name).chain, name)
        if outcome is not None and outcome.image is None and (known is None or known.run != journal.run):
            keep(engine, journal, name)


def discard(engine: Engine, kept: KeptBuild) -> None:
    """Remove a kept container, its stage image, and its record.

    Raises:
        EngineError: The container is on a different engine, or the engine rejected a request.
    """
    if kept.engine != engine_address():
        raise EngineError(
            f"tier {kept.tier!r}: its failed build is on the engine at {kept.engine}, and DOCKER_HOST names "
            f"{engine_address()}; set DOCKER_HOST={kept.engine}"
        )
    engine.containers.remove(kept.container)
    launch.remove_agent_folder(kept.engine, kept.name)
    engine.images.remove(kept.stage)
    forget_kept(kept)


def discard_earlier(engine: Engine, planned: Planned, say: Callable[[str], None]) -> None:
    """Remove the kept container of a tier's earlier build before the tier is built again.

    Raises:
        EngineError: The engine rejected a request.
        DamagedError: The record of the kept build cannot be read.
    """
    kept = kept_build(planned.chain, planned.tier.name)
    if kept is not None and kept.engine == engine_address():
        discard(engine, kept)
        say(f"removed the container that was kept of the failed run {kept.run}")


def discardable(chain: str) -> tuple[KeptBuild, ...]:
    """Return the kept builds of a chain whose containers are on the current engine."""
    return tuple(kept for kept in kept_builds(chain) if kept.engine == engine_address())


def wake(engine: Engine, kept: KeptBuild) -> bool:
    """Start a kept container, if it does not run.

    Returns:
        Whether this call started it.

    Raises:
        NotFoundError: Somebody removed it. Its record is removed, too.
        EngineError: It is on a different engine, or the engine cannot start it.
    """
    if kept.engine != engine_address():
        raise EngineError(
            f"tier {kept.tier!r}: its failed build is on the engine at {kept.engine}, and DOCKER_HOST names "
            f"{engine_address()}; set DOCKER_HOST={kept.engine}"
        )
    try:
        running = engine.containers.inspect(kept.container).running
    except EngineError as error:
        if engine.containers.exists(kept.container):
            raise
        discard(engine, kept)
        raise NotFoundError(
            f"tier {kept.tier!r}: the container of its failed build was removed by somebody; build the tier again"
        ) from error
    if running:
        return False
    launch.agent_mount(kept.engine, kept.name)  # the engine needs the folder, and a restart of the machine removes it
    engine.containers.wake(kept.container)
    # Files that are older than this marker existed before the build began.
    moment = f"{kept.began:.3f}"
    engine.exec.run(kept.container, ["touch", "-d", f"@{moment}", START_MARKER], take=Output().take)
    return True


def put_to_sleep(engine: Engine, kept: KeptBuild) -> None:
    """Stop a kept container again: nothing of it stays in memory.

    Raises:
        EngineError: The engine rejected a request.
    """
    engine.containers.end(kept.container)
    launch.remove_agent_folder(kept.engine, kept.name)


def from_task(kept: KeptBuild, task: str | None) -> KeptBuild:
    """Choose where a build is resumed.

    Args:
        kept: The kept build.
        task: Name of the task to begin with; ``None`` for the failed task.

    Returns:
        The build with the tasks before that task only.

    Raises:
        NotFoundError: The build has no such task.
    """
    if task is None:
        failed = [number for number, past in enumerate(kept.tasks) if past.status in {"failed", "unreachable"}]
        return replace(kept, tasks=kept.tasks[: failed[-1]]) if failed else kept  # later ones: always, and rescue
    names = [past.name for past in kept.tasks]
    if task not in names:
        known = ", ".join(map(repr, dict.fromkeys(names))) or "none"
        raise NotFoundError(f"tier {kept.tier!r}: its failed build has no task {task!r}; its tasks are: {known}")
    return replace(kept, tasks=kept.tasks[: names.index(task)])


def find_kept(tier: str, chain: str | None = None) -> list[KeptBuild]:
    """Find the kept builds of a tier in this user's state folder, of all chains, or of one."""
    builds: Iterable[KeptBuild] = all_kept_builds() if chain is None else kept_builds(chain)
    return [kept for kept in builds if kept.tier == tier]


def advice(kept: KeptBuild) -> Iterator[str]:
    """Yield the lines that say how to look into a kept build."""
    yield "its build container is kept, and stopped. To look into it, to go on, or to remove it:"
    yield from (f"  tierwright {verb} {kept.tier}" for verb in ("shell", "logs", "resume", "discard"))
