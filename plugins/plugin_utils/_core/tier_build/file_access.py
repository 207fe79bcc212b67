# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Learns which files a role takes from elsewhere, while it is applied.

An audit hook (https://docs.python.org/3/library/audit_events.html) in Ansible's main process hears of every file that
Python opens and every folder that it lists. Tasks are forks of that process and inherit the hook; each knows its tier.
What a program does that a task starts on the controller is not heard.
"""

from __future__ import annotations

import json
import os
import re
import site
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import local_files
from ..build_key.file_digests import CHANGED, LISTING, ROLE, Projects, counts, digest_elsewhere, part
from ..build_key.parts import COLLECTION
from ..chain.names import file_name
from ..state.journal import Journal

#: Folders of the system and of Python: what is there is no input of a role.
_SYSTEM = ("/dev", "/proc", "/run", "/sys", "/usr", "/etc/ssl")

#: Folders and files that clients of engines and Ansible keep in a home.
_HOME = ("~/.ansible", "~/.config/containers", "~/.docker", "~/.netrc")

#: Plugins of collections are code, and counted by their collection.
_PLUGINS = re.compile(r"/ansible_collections/(\w+)/(\w+)/plugins/")

#: Its plugins are in the key by its version: they write the layer, and no role's content.
_OURS = "tierwright.chain"

#: Ends of the names of records: of files and folders, and of all else.
_FILES, _USED = "taken", "used"

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """Hears what the tasks of a run read, and records it in the run's journal."""

    def __init__(
        self, journal: Journal, projects: Iterable[str], ignored: Iterable[str], who: Callable[[], str | None]
    ) -> None:
        """Prepare to listen.

        Args:
            journal: The run.
            projects: Folders whose content counts even if they are temporary.
            ignored: Files and folders that do not count, besides those that never do.
            who: Name of the tier that this process works for; ``None`` where it is none's, or not yet.
        """
        self._folder = journal.folder
        self._projects = tuple(_folders(projects))
        self._never = tuple(_folders((*_SYSTEM, *_HOME, *_python(), *_caches(), str(journal.folder), *ignored)))
        self._temporary = tuple(_folders([tempfile.gettempdir()]))
        self._who = who
        self._process = 0
        self._tier: str | None = None
        self._seen: set[tuple[str, str, str]] = set()
        self._listening = False

    def start(self) -> None:
        """Begin to listen. A hook cannot be taken away; after :meth:`stop` it does nothing."""
        self._listening = True
        sys.addaudithook(self._hear)

    def stop(self) -> None:
        """Listen no more."""
        self._listening = False

    def note(self, tier: str, path: str, kind: str = "") -> None:
        """Record a file, or with ``LISTING`` or ``ROLE`` a folder, that ``tier`` depends on."""
        path = os.path.abspath(path)
        inside = f"{path}/"
        if (tier, path, kind) in self._seen:
            return
        if plugin := _PLUGINS.search(inside):
            self.note_use(tier, COLLECTION, ".".join(plugin.groups()))
            return
        if inside.startswith(self._never):
            return
        if inside.startswith(self._temporary) and not inside.startswith(self._projects):
            return
        self._seen.add((tier, path, kind))
        _append(_record(self._folder, tier), [path, kind, _state(path)])

    def note_use(self, tier: str, kind: str, name: str) -> None:
        """Record something else that ``tier`` depends on, by kind and name as parts of a key have them."""
        if (tier, name, kind) not in self._seen and name != _OURS:
            self._seen.add((tier, name, kind))
            _append(_record(self._folder, tier, _USED), [kind, name])

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._listening or (event != "open" and event not in {"os.listdir", "os.scandir"}):
            return
        path = args[0]
        if not isinstance(path, str | bytes | os.PathLike) or (event == "open" and args[2] & _WRITES):
            return
        # A worker opens files before it knows whom it works for, so it is asked until it does.
        if self._tier is None or self._process != os.getpid():
            self._process, self._tier = os.getpid(), self._who()
        # Code that is imported is known by its version; here the importer itself opens and lists.
        if self._tier is None or sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):  # noqa: SLF001 - the only way to know
            return
        # An exception here would fail what the task does; a journal that is gone means that the run has ended.
        with suppress(OSError, ValueError):
            self.note(self._tier, os.fsdecode(path), "" if event == "open" else LISTING)


def digest_taken(journal: Journal, tier: str, roles: Iterable[str], projects: Projects) -> dict[str, str]:
    """Digest the files that ``tier``'s role took from elsewhere in this run.

    Args:
        journal: The run.
        tier: The tier.
        roles: Folders of the roles whose files are in the tier's key already, and other files that are.
        projects: Folders that names are relative to.

    Returns:
        Parts of the tier's key. A file that changed after it was used has a digest that no later one is equal to.
    """
    recorded = list(_recorded(journal, tier))
    included = {Path(path).resolve() for path, kind, _ in recorded if kind == ROLE}
    own = {Path(folder) for folder in roles}
    parts: dict[str, str] = {}
    for path, kind, state in recorded:
        if _is_within(Path(path).resolve(), kind, own if kind == ROLE else own | included):
            continue
        name = projects.name(Path(path)) + kind
        now = digest_elsewhere([name], projects)[part(name)]
        parts.setdefault(part(name), CHANGED if state != _state(path) else now)
    return parts


def used(journal: Journal, tier: str) -> list[tuple[str, str]]:
    """Read kind and name of all else that ``tier``'s role used in this run, sorted, each once."""
    return sorted({(kind, name) for kind, name in _lines(_record(journal.folder, tier, _USED))})


def _recorded(journal: Journal, tier: str) -> Iterator[tuple[str, str, list[int] | None]]:
    yield from _lines(_record(journal.folder, tier))


def _lines(record: str) -> Iterator[Any]:
    with suppress(FileNotFoundError):
        yield from map(json.loads, Path(record).read_text().splitlines())


def _append(record: str, line: list[Any]) -> None:
    descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


def _is_within(path: Path, kind: str, roles: Iterable[Path]) -> bool:
    """Say whether the key has a path already, as one of a role's."""
    for role in roles:
        if path == role:
            return True
        if path.is_relative_to(role):
            return bool(kind) or counts(path.relative_to(role))
    return False


def _state(path: str) -> list[int] | None:
    """What tells that a file changed, without reading it; nothing for folders, whose names are digested."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size] if os.path.isfile(path) else []


def _record(folder: Path, tier: str, of: str = _FILES) -> str:
    return f"{folder}/{file_name(tier)}.{of}"


def _python() -> Iterator[str]:
    yield from {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *site.getsitepackages()}
    collection = Path(__file__).resolve().parents[4]
    yield from (str(collection / "playbooks"), str(collection / "plugins"))


def _caches() -> Iterator[str]:
    yield str(local_files.all_state())
    yield str(local_files.all_caches())


def _folders(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        absolute = os.path.abspath(os.path.expanduser(path))
        yield from {f"{absolute}/", f"{os.path.realpath(absolute)}/"}
