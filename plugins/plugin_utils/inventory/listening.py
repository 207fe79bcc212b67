# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets a run know its tasks: which began when, and what they read, but for what Ansible itself reads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible import constants, context

from ..image.tasks import Task
from ..keys.elsewhere import ROLE
from ..run.jobs import note_asynchronous
from ..run.journal import Journal
from ..run.records import read_plan
from ..run.taken import Watch
from ..run.timeline import note_begin

#: Our own tasks read the journal, and no input of a role.
_OURS = "tierwright.chain.tier_"


def listen(journal: Journal) -> Watch:
    """Begin to hear what the tasks of a run read."""
    projects = read_plan(journal, journal.recorded("plan")[0]).projects
    watch = Watch(journal, projects, _ignored(projects), _worker_s_tier)
    watch.start()
    return watch


def note_files(watch: Watch, host: str, task: Any) -> None:
    """Record the role and the file that a task of a role comes from: the main process reads these, for all hosts."""
    role = getattr(task, "_role", None)
    if role is not None:
        watch.note(host, role._role_path, ROLE)  # noqa: SLF001 - Ansible has no other name for it
        path, _, _line = str(task.get_path() or "").rpartition(":")
        if path:
            watch.note(host, path)


def note_task(journal: Journal, host: str, task: Any) -> None:
    """Record that a task begins, and of which role it is."""
    role = getattr(task, "_role", None)
    name, file = None, None
    if role is not None:
        name = Path(role.get_name()).name  # a role that is found by its path is called by all of it
        folder, path = Path(role._role_path), Path(task.get_path() or "")  # noqa: SLF001 - Ansible has no other name for it
        file = str(path.relative_to(folder.parent)) if path.is_relative_to(folder) else None
    begun = Task(name, str(task.name or task.action), file)
    note_begin(journal, host, begun)
    if getattr(task, "async_val", 0) and not (isinstance(task.poll, int) and task.poll > 0):
        note_asynchronous(journal, host, str(begun))


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
