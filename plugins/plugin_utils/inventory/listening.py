# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets a run know its tasks: which began when, and what they read, but for what Ansible itself reads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible import constants, context

from ..image.tasks import Task
from ..keys.elsewhere import ROLE
from ..run.failure import Failure, said_by
from ..run.journal import Journal
from ..run.records import read_plan
from ..run.taken import Watch
from ..run.timeline import note_begin

#: Our own tasks read the journal, and no input of a role.
_OURS = "tierwright.chain.tier_"

#: Nobody looks there for what is wrong with a role.
_OWN_PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"


def listen(journal: Journal) -> Watch:
    """Begin to hear what the tasks of a run read."""
    projects = read_plan(journal, journal.recorded("plan")[0]).projects
    watch = Watch(journal, projects, _ignored(projects), _worker_s_tier)
    watch.start()
    return watch


def note_files(watch: Watch, host: str, task: Any) -> None:
    """Record the role and the file that a task comes from: the main process reads these, for all hosts."""
    role = getattr(task, "_role", None)
    if role is not None:
        watch.note(host, role._role_path, ROLE)  # noqa: SLF001 - Ansible has no other name for it
    path, _, _line = str(task.get_path() or "").rpartition(":")
    if path and not _is_ours(path):
        watch.note(host, path)


def note_task(journal: Journal, host: str, task: Any) -> None:
    """Record that a task begins, and of which role it is."""
    note_begin(journal, host, _named(task))


def failure_of(task: Any, result: Mapping[str, Any]) -> Failure:
    """Say what a task that failed is, and what it said."""
    named = _named(task)
    file = named.file or str(task.get_path() or "")
    return Failure(named.name, "" if _is_ours(file.rpartition(":")[0]) else file, said_by(result))


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


def _is_ours(path: str) -> bool:
    return Path(path).resolve().is_relative_to(_OWN_PLAYBOOKS)


def _named(task: Any) -> Task:
    role = getattr(task, "_role", None)
    name, file = None, None
    if role is not None:
        name = Path(role.get_name()).name  # a role that is found by its path is called by all of it
        folder, path = Path(role._role_path), Path(task.get_path() or "")  # noqa: SLF001 - Ansible has no other name for it
        file = str(path.relative_to(folder.parent)) if path.is_relative_to(folder) else None
    return Task(name, str(task.name or task.action), file)


def _worker_s_tier() -> str | None:
    """The host that this process is a worker for, unless its task is one of ours; ``None`` in the main process.

    The task is asked for no more than what was read: what Ansible resolves it opens files for, which are heard here.
    """
    worker = multiprocessing.current_process()
    host, task = getattr(worker, "_host", None), getattr(worker, "_task", None)
    if host is None or task is None or str(task.action).startswith(_OURS):
        return None
    return str(host.get_name())


def _ignored(projects: tuple[str, ...]) -> Iterator[str]:
    yield from (str(constants.config.get_config_value(name)) for name in ("ANSIBLE_HOME", "DEFAULT_LOCAL_TMP"))
    passwords = constants.config.get_config_value("DEFAULT_VAULT_PASSWORD_FILE")
    identities = (
        *context.CLIARGS.get("vault_ids", ()),
        *constants.config.get_config_value("DEFAULT_VAULT_IDENTITY_LIST"),
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
