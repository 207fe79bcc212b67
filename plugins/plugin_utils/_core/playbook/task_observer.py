# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records the tasks of a run: when each begins, and which files, variables and other sources it uses.

The recording starts in Ansible's main process, and tasks are forks of that process. Each task that begins an image
checks that the recording is active. An image with unknown inputs would be kept even if these inputs change.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from ansible import constants, context

from ..build_key.file_digests import ROLE
from ..build_key.parts import COLLECTION, ELSEWHERE, FETCHED, UNSEEN
from ..errors import RunError
from ..inventory.ansible_settings import setting
from ..inventory.template_usage import TemplateRecorder
from ..inventory.value_sources import FETCHING
from ..layer.build_memory import Task
from ..state.journal import Journal
from ..state.plan_records import read_plan
from ..state.run_log import note_result
from ..tier_build.failure import TaskFailure, error_lines
from ..tier_build.file_access import Watch
from ..tier_build.tasks import note_asynchronous, note_task_start

#: Actions of Tierwright. They read the journal, and no inputs of a role.
_OWN_ACTIONS = "tierwright.chain.tier_"
#: The exception: its arguments are the image's settings, which come from the role's defaults.
_SEAL = "tierwright.chain.tier_seal"
_PLAYBOOKS = str(Path(__file__).resolve().parents[4] / "playbooks") + os.sep
_BUILTIN = frozenset({"ansible.builtin", "ansible.legacy"})

#: The playbooks of Tierwright. They are not shown as the place of an error in a role.
_OWN_PLAYBOOKS = Path(__file__).resolve().parents[4] / "playbooks"


class _ProcessState(msgspec.Struct):
    """State of the recording in this process. A task's process inherits it when it is forked."""

    #: Whether this process records what it uses.
    active: bool = False
    #: Why nothing is recorded.
    reason: str = "the callback plugin tierwright.chain.chain did not run; do not disable it"


_state = _ProcessState()


class Recording(msgspec.Struct, frozen=True):
    """The active recorders of one run."""

    watch: Watch
    _templates: TemplateRecorder

    def stop(self) -> None:
        """End the recording."""
        _state.active = False
        self.watch.stop()
        self._templates.stop()


def start_recording(journal: Journal) -> Recording | None:
    """Begin to record what the tasks of a run use.

    Returns:
        The recorders; ``None`` if recording is not possible. :func:`check_recording` then fails in each task.
    """
    try:
        projects = read_plan(journal, journal.recorded("plan")[0]).projects
        watch = Watch(journal, projects, _ignored_paths(projects), _file_reading_tier)
        templates = TemplateRecorder(partial(_record, watch), _template_reading_tier)
        templates.start()
        watch.start()
    except Exception as error:  # noqa: BLE001 - each tier reports any error here, and no tier is built
        _state.reason = str(error) or type(error).__name__
        return None
    _state.active = True
    return Recording(watch, templates)


def check_recording(tier: str) -> None:
    """Make sure that the recording is active before a tier is built.

    Raises:
        RunError: It is not active.
    """
    if not _state.active:
        raise RunError(
            f"tier {tier!r} is not built, because the inputs of its role cannot be recorded, and later changes of them "
            f"would not be noticed: {_state.reason}"
        )


def stop_recording_here() -> None:
    """End the recording in this process, for a task of Tierwright whose arguments are already evaluated."""
    _state.active = False


def note_sources(watch: Watch, host: str, task: Any) -> None:
    """Record the sources of a task that the main process knows: role, file, collection of the plugin, delegation."""
    if is_own_task(task):
        return
    collection = ".".join(str(getattr(task, "resolved_action", None) or "").split(".")[:-1])
    if collection.count(".") == 1 and collection not in _BUILTIN:
        watch.note_use(host, COLLECTION, collection)
    module = str(task.action).rpartition(".")[2]
    if module in FETCHING:
        watch.note_use(host, FETCHED, module)
    if task.delegate_to:
        watch.note_use(host, UNSEEN, f"what tasks find on {task.delegate_to}")
    elif str(getattr(task, "connection", "")).endswith("local"):
        watch.note_use(host, UNSEEN, "what tasks find on the controller")
    role = getattr(task, "_role", None)
    if role is not None:
        watch.note(host, role._role_path, ROLE)  # noqa: SLF001 - there is no public name
    path, _, _line = str(task.get_path() or "").rpartition(":")
    if path and not _is_own_playbook(path):
        watch.note(host, path)


def note_task(journal: Journal, host: str, task: Any) -> None:
    """Record that a task begins, and its role."""
    description = describe_task(task)
    note_task_start(journal, host, description)
    if getattr(task, "async_val", 0) and not (isinstance(task.poll, int) and task.poll > 0):
        note_asynchronous(journal, host, str(description))


def note_task_result(journal: Journal, host: str, task: Any, status: str, result: Mapping[str, Any]) -> None:
    """Record how a task of a role ended, and what Ansible prints about it.

    Args:
        journal: The journal of the run.
        host: The tier.
        task: The task.
        status: How it ended; see :class:`..state.run_log.TaskResult`.
        result: Its result, as a callback gets it: without the values that ``no_log`` hides.
    """
    if is_own_task(task):
        return
    said: list[str] = []
    if status in {"failed", "ignored", "unreachable"}:
        said = error_lines(result)
    elif str(task.action).rpartition(".")[2] == "debug" and "censored" not in result:
        said = error_lines({"msg": result["msg"]} if "msg" in result else {"msg": "", **result})
    waits = not ("ansible_job_id" in result and str(result.get("finished")) in {"0", "False"})
    note_result(journal, host, describe_task(task), status, said, waits=waits)


def failure_of(task: Any, result: Mapping[str, Any]) -> TaskFailure:
    """Describe a failed task: its name, its place, and the lines of its error."""
    description = describe_task(task)
    file = description.file or str(task.get_path() or "")
    return TaskFailure(description.name, "" if _is_own_playbook(file.rpartition(":")[0]) else file, error_lines(result))


def add_role_folders(journal: Journal) -> None:
    """Add the folders that contain the roles of the plan to Ansible's ``roles_path``.

    A role may include a role in the same folder. Ansible searches ``include_role`` in ``roles_path`` and next to the
    playbook, and the playbook is not in the user's project. The folders come last, so they hide no other role.
    """
    roles_path = constants.DEFAULT_ROLES_PATH
    for tier in journal.recorded("plan"):
        for role in read_plan(journal, tier).roles:
            folder = str(Path(role).parent)
            if folder not in roles_path:
                roles_path.append(folder)


def name_roles_by_folder(play: Any) -> None:
    """Name roles that were included by path after their folder, in Ansible's output and in their variables.

    Otherwise Ansible prints ``tierwright.chain./home/…/roles/web``, and ``ansible_role_name`` depends on the machine.
    """
    for roles in getattr(play, "role_cache", {}).values():
        for role in roles:
            if str(role.get_name(include_role_fqcn=False)).startswith("/"):
                role._role_name, role._role_collection = Path(role._role_path).name, None  # noqa: SLF001 - there is no public name


def _is_own_playbook(path: str) -> bool:
    return Path(path).resolve().is_relative_to(_OWN_PLAYBOOKS)


def describe_task(task: Any) -> Task:
    """Describe a task: its role, its name, and its file with the line."""
    role = getattr(task, "_role", None)
    name, file = None, None
    if role is not None:
        name = Path(role.get_name()).name  # a role that was included by path has the whole path as its name
        folder, path = Path(role._role_path), Path(task.get_path() or "")  # noqa: SLF001 - there is no public name
        file = str(path.relative_to(folder.parent)) if path.is_relative_to(folder) else None
    return Task(name, str(task.name or task.action), file)


def _record(watch: Watch, kind: str, name: str) -> None:
    tier = _template_reading_tier()
    if tier is not None:
        with suppress(OSError):  # a journal that is gone means that the run has ended
            watch.note(tier, name) if kind == ELSEWHERE else watch.note_use(tier, kind, name)


def _current_worker() -> tuple[Any, Any]:
    """The host and the task of this worker process; both are ``None`` in the main process."""
    worker = multiprocessing.current_process()
    return getattr(worker, "_host", None), getattr(worker, "_task", None)


def current_work() -> tuple[str, str]:
    """Return the names of the host and of the task that this worker process works for; empty in the main process."""
    host, task = _current_worker()
    return ("", "") if host is None or task is None else (str(host.get_name()), str(task._uuid))  # noqa: SLF001


def _file_reading_tier() -> str | None:
    """The tier for which this process reads files; ``None`` in the main process and in tasks of Tierwright.

    Only attributes that are already loaded may be read here: resolving others opens files, which calls this again.
    """
    host, task = _current_worker()
    if host is None or task is None or not _state.active:
        return None
    action = str(task.action)
    return None if action.startswith(_OWN_ACTIONS) and action != _SEAL else str(host.get_name())


def _template_reading_tier() -> str | None:
    """The tier for which this process evaluates templates of a role: in its tasks, and in the image's settings."""
    host, task = _current_worker()
    if host is None or task is None or not _state.active:
        return None
    return None if is_own_task(task) and str(task.action) != _SEAL else str(host.get_name())


def is_own_task(task: Any) -> bool:
    """Check whether a task comes from a playbook of this collection."""
    path, _, _line = str(task.get_path() or "").rpartition(":")
    return os.path.realpath(path).startswith(_PLAYBOOKS)


def _ignored_paths(projects: tuple[str, ...]) -> Iterator[str]:
    """Files whose content is not recorded: Ansible's own, passwords of vaults, and the inventory.

    Variables of the inventory are in the key by their values.
    """
    yield from (str(setting(name)) for name in ("ANSIBLE_HOME", "DEFAULT_LOCAL_TMP"))
    passwords = setting("DEFAULT_VAULT_PASSWORD_FILE")
    identities = (
        *context.CLIARGS.get("vault_ids", ()),
        *(setting("DEFAULT_VAULT_IDENTITY_LIST") or ()),
    )
    for path in (passwords, *context.CLIARGS.get("vault_password_files", ()), *identities):
        if path:
            yield str(path).rpartition("@")[2]
    if constants.CONFIG_FILE:
        yield constants.CONFIG_FILE
    sources = [Path(path) for path in context.CLIARGS.get("inventory") or () if "," not in path]
    for source in sources:
        yield from (str(path) for path in (source.iterdir() if source.is_dir() else [source]) if path.is_file())
    folders = {source if source.is_dir() else source.parent for source in sources} | set(map(Path, projects))
    for folder in folders:
        yield from (str(folder / name) for name in ("group_vars", "host_vars"))
