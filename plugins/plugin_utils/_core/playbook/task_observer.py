# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets a run know its tasks: which began when, and what they use, but for what Ansible itself reads.

It begins in Ansible's main process, and tasks are forks of that. Each task that makes an image asks whether it has
begun: an image of which nobody knows what it was made from would be kept whatever changes.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible import constants, context

from ..build_key.file_digests import ROLE
from ..build_key.parts import COLLECTION, ELSEWHERE, FETCHED, UNSEEN
from ..errors import RunError
from ..inventory.surroundings import setting
from ..inventory.template_usage import Listener
from ..inventory.value_sources import FETCHING
from ..layer.build_memory import Task
from ..state.journal import Journal
from ..state.plan_records import read_plan
from ..tier_build.failure import TaskFailure, said_by
from ..tier_build.file_access import Watch
from ..tier_build.tasks import note_asynchronous, note_begin

#: Our own tasks read the journal, and no input of a role.
_OURS = "tierwright.chain.tier_"
#: But its arguments are an image's settings, out of the role's defaults.
_SEALS = "tierwright.chain.tier_seal"
_PLAYBOOKS = str(Path(__file__).resolve().parents[4] / "playbooks") + os.sep
_BUILTIN = frozenset({"ansible.builtin", "ansible.legacy"})

#: Nobody looks there for what is wrong with a role.
_OWN_PLAYBOOKS = Path(__file__).resolve().parents[4] / "playbooks"


@dataclass(slots=True)
class _State:
    """How it stands in this process: a task's is as it was in the main process when the task was forked."""

    #: Whether what this process does is recorded.
    hears: bool = False
    #: Why nothing is recorded.
    reason: str = "the callback plugin tierwright.chain.chain did not run; do not turn it off"


_state = _State()


@dataclass(frozen=True, slots=True)
class Listening:
    """What records the tasks of one run."""

    watch: Watch
    _templates: Listener

    def stop(self) -> None:
        """Record no more."""
        _state.hears = False
        self.watch.stop()
        self._templates.stop()


def listen(journal: Journal) -> Listening | None:
    """Begin to record what the tasks of a run use.

    Returns:
        What records; ``None`` where it cannot, which :func:`check_heard` tells the tasks.
    """
    try:
        projects = read_plan(journal, journal.recorded("plan")[0]).projects
        watch = Watch(journal, projects, _ignored(projects), _worker_s_tier)
        templates = Listener(partial(_note, watch), _reading_tier)
        templates.start()
        watch.start()
    except Exception as error:  # noqa: BLE001 - whatever it is, each tier tells it and none is built
        _state.reason = str(error) or type(error).__name__
        return None
    _state.hears = True
    return Listening(watch, templates)


def check_heard(tier: str) -> None:
    """Make sure that what the tier's role uses will be recorded.

    Raises:
        RunError: It will not.
    """
    if not _state.hears:
        raise RunError(
            f"tier {tier!r} is not built: what its role uses would not be recorded, so later changes of it would not "
            f"be noticed: {_state.reason}"
        )


def stop_here() -> None:
    """Record nothing more of what this process does, whose task is one of ours and has its arguments."""
    _state.hears = False


def note_sources(watch: Watch, host: str, task: Any) -> None:
    """Record what the main process knows of a task: its role and its file, its plugin's collection, where it runs."""
    if _is_ours(task):
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
        watch.note(host, role._role_path, ROLE)  # noqa: SLF001 - Ansible has no other name for it
    path, _, _line = str(task.get_path() or "").rpartition(":")
    if path and not _is_own_playbook(path):
        watch.note(host, path)


def note_task(journal: Journal, host: str, task: Any) -> None:
    """Record that a task begins, and of which role it is."""
    begun = _named(task)
    note_begin(journal, host, begun)
    if getattr(task, "async_val", 0) and not (isinstance(task.poll, int) and task.poll > 0):
        note_asynchronous(journal, host, str(begun))


def failure_of(task: Any, result: Mapping[str, Any]) -> TaskFailure:
    """Say what a task that failed is, and what it said."""
    named = _named(task)
    file = named.file or str(task.get_path() or "")
    return TaskFailure(named.name, "" if _is_own_playbook(file.rpartition(":")[0]) else file, said_by(result))


def find_siblings(journal: Journal) -> None:
    """Let Ansible find the roles that a role includes where the plan found them: beside it.

    Ansible looks for what ``include_role`` names in ``roles_path`` and beside the playbook, which is ours. The folders
    come last, so nothing that it finds without them is hidden.
    """
    known = constants.DEFAULT_ROLES_PATH
    for tier in journal.recorded("plan"):
        known += [each for folder in read_plan(journal, tier).roles if (each := str(Path(folder).parent)) not in known]


def call_by_folder(play: Any) -> None:
    """Let roles that were found by their path be called by their folder, in what Ansible prints and in their variables.

    Else a task is one of ``tierwright.chain./home/…/roles/web``, and ``ansible_role_name`` says whose machine this is.
    """
    for roles in getattr(play, "role_cache", {}).values():
        for role in roles:
            if str(role.get_name(include_role_fqcn=False)).startswith("/"):
                role._role_name, role._role_collection = Path(role._role_path).name, None  # noqa: SLF001 - no other way


def _is_own_playbook(path: str) -> bool:
    return Path(path).resolve().is_relative_to(_OWN_PLAYBOOKS)


def _named(task: Any) -> Task:
    role = getattr(task, "_role", None)
    name, file = None, None
    if role is not None:
        name = Path(role.get_name()).name  # a role that is found by its path is called by all of it
        folder, path = Path(role._role_path), Path(task.get_path() or "")  # noqa: SLF001 - Ansible has no other name for it
        file = str(path.relative_to(folder.parent)) if path.is_relative_to(folder) else None
    return Task(name, str(task.name or task.action), file)


def _note(watch: Watch, kind: str, name: str) -> None:
    tier = _reading_tier()
    if tier is not None:
        with suppress(OSError):  # a journal that is gone means that the run has ended
            watch.note(tier, name) if kind == ELSEWHERE else watch.note_use(tier, kind, name)


def _worker() -> tuple[Any, Any]:
    """Host and task that this process is a worker for; ``None`` for each in the main process."""
    worker = multiprocessing.current_process()
    return getattr(worker, "_host", None), getattr(worker, "_task", None)


def _worker_s_tier() -> str | None:
    """The host that this process reads files for, unless its task is one of ours; ``None`` in the main process.

    The task is asked for no more than what was read: what Ansible resolves it opens files for, which are heard here.
    """
    host, task = _worker()
    if host is None or task is None or not _state.hears:
        return None
    action = str(task.action)
    return None if action.startswith(_OURS) and action != _SEALS else str(host.get_name())


def _reading_tier() -> str | None:
    """The host whose role's templates this process evaluates: in its tasks, and in what an image's settings are."""
    host, task = _worker()
    if host is None or task is None or not _state.hears:
        return None
    return None if _is_ours(task) and str(task.action) != _SEALS else str(host.get_name())


def _is_ours(task: Any) -> bool:
    """Say whether a task stands in one of this collection's playbooks."""
    path, _, _line = str(task.get_path() or "").rpartition(":")
    return os.path.realpath(path).startswith(_PLAYBOOKS)


def _ignored(projects: tuple[str, ...]) -> Iterator[str]:
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
    # Variables of the inventory are parts of the key by their values.
    sources = [Path(each) for each in context.CLIARGS.get("inventory") or () if "," not in each]
    for source in sources:
        yield from (str(each) for each in (source.iterdir() if source.is_dir() else [source]) if each.is_file())
    folders = {source if source.is_dir() else source.parent for source in sources} | set(map(Path, projects))
    for folder in folders:
        yield from (str(folder / name) for name in ("group_vars", "host_vars"))
