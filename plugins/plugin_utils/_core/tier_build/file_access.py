# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records which files outside the role the tasks of a tier read, while the role is applied.

An audit hook (https://docs.python.org/3/library/audit_events.html) in Ansible's main process is called for every file
that Python opens and every folder that it lists. Tasks are forks of that process, so they inherit the hook. Each task
knows its tier. The hook does not see files that other programs on the controller read.
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
from ..build_key.file_digests import CHANGED, LISTING, ROLE, Projects, digest_elsewhere, elsewhere_part, is_digested
from ..build_key.parts import COLLECTION
from ..chain.names import file_name
from ..state.journal import Journal

#: Folders of the system and of Python: their files are not inputs of a role.
_SYSTEM = ("/dev", "/proc", "/run", "/sys", "/usr", "/etc/ssl")

#: Folders and files of Ansible and of engine clients in the user's home.
_HOME = ("~/.ansible", "~/.config/containers", "~/.docker", "~/.netrc")

#: Plugins of a collection are recorded as a use of the collection, not file by file.
_PLUGINS = re.compile(r"/ansible_collections/(\w+)/(\w+)/plugins/")

#: This collection is not recorded: the key contains its version.
_OWN_COLLECTION = "tierwright.chain"

#: Suffixes of the record files: for files and folders, and for all other sources.
_FILES, _USED = "taken", "used"

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """Records in the run's journal what the tasks of the run read."""

    def __init__(
        self, journal: Journal, projects: Iterable[str], ignored: Iterable[str], who: Callable[[], str | None]
    ) -> None:
        """Set up a watch; :meth:`start` starts it.

        Args:
            journal: The journal of the run.
            projects: Folders whose files are recorded even if they are in a temporary folder.
            ignored: More files and folders that are not recorded.
            who: Returns the name of the tier that this process works for; ``None`` if it works for no tier, or if that
                is not known yet.
        """
        self._folder = journal.folder
        self._projects = tuple(_with_slash(projects))
        self._ignored = tuple(
            _with_slash((*_SYSTEM, *_HOME, *_list_code_folders(), *_list_caches(), str(journal.folder), *ignored))
        )
        self._temporary = tuple(_with_slash([tempfile.gettempdir()]))
        self._who = who
        self._process = 0
        self._tier: str | None = None
        self._seen: set[tuple[str, str, str]] = set()
        self._active = False

    def start(self) -> None:
        """Start to record. An audit hook cannot be removed, but after :meth:`stop` it does nothing."""
        self._active = True
        sys.addaudithook(self._on_event)

    def stop(self) -> None:
        """Stop to record."""
        self._active = False

    def note(self, tier: str, path: str, kind: str = "") -> None:
        """Record a file that ``tier`` depends on. With the kind ``LISTING`` or ``ROLE``, it is a folder."""
        path = os.path.abspath(path)
        with_slash = f"{path}/"
        if (tier, path, kind) in self._seen:
            return
        if plugin := _PLUGINS.search(with_slash):
            self.note_use(tier, COLLECTION, ".".join(plugin.groups()))
            return
        if with_slash.startswith(self._ignored):
            return
        if with_slash.startswith(self._temporary) and not with_slash.startswith(self._projects):
            return
        self._seen.add((tier, path, kind))
        _append(_record_file(self._folder, tier), [path, kind, _read_state(path)])

    def note_use(self, tier: str, kind: str, name: str) -> None:
        """Record a source that ``tier`` depends on and that is not a file, by the kind and name of its key part."""
        if (tier, name, kind) not in self._seen and name != _OWN_COLLECTION:
            self._seen.add((tier, name, kind))
            _append(_record_file(self._folder, tier, _USED), [kind, name])

    def _on_event(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._active or (event != "open" and event not in {"os.listdir", "os.scandir"}):
            return
        if local_files.is_own_read():
            return
        path = args[0]
        if not isinstance(path, str | bytes | os.PathLike) or (event == "open" and args[2] & _WRITES):
            return
        # A worker opens files before it knows its tier, so this asks again until the tier is known.
        if self._tier is None or self._process != os.getpid():
            self._process, self._tier = os.getpid(), self._who()
        # Skip files that Python's importer reads: the key contains the versions of imported code.
        if self._tier is None or sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):  # noqa: SLF001 - the only way to know
            return
        # An exception here would make the task fail. If the journal was removed, the run has ended.
        with suppress(OSError, ValueError):
            self.note(self._tier, os.fsdecode(path), "" if event == "open" else LISTING)


def digest_accessed(journal: Journal, tier: str, roles: Iterable[str], projects: Projects) -> dict[str, str]:
    """Digest the files outside the role that ``tier`` read in this run.

    Args:
        journal: The journal of the run.
        tier: Name of the tier.
        roles: Folders of roles, and other files, that are in the tier's key already.
        projects: Folders that the names of files are relative to.

    Returns:
        Parts of the tier's key. A file that changed after the tier read it gets a digest that no later digest equals.
    """
    recorded = list(_read_files(journal, tier))
    included = {Path(path).resolve() for path, kind, _ in recorded if kind == ROLE}
    own = {Path(folder) for folder in roles}
    parts: dict[str, str] = {}
    for path, kind, state in recorded:
        if _is_in_key(Path(path).resolve(), kind, own if kind == ROLE else own | included):
            continue
        name = projects.name(Path(path)) + kind
        digest = digest_elsewhere([name], projects)[elsewhere_part(name)]
        parts.setdefault(elsewhere_part(name), CHANGED if state != _read_state(path) else digest)
    return parts


def used_sources(journal: Journal, tier: str) -> list[tuple[str, str]]:
    """Return the kind and name of each other source that ``tier`` used in this run, sorted, without duplicates."""
    return sorted({(kind, name) for kind, name in _read_lines(_record_file(journal.folder, tier, _USED))})


def _read_files(journal: Journal, tier: str) -> Iterator[tuple[str, str, list[int] | None]]:
    yield from _read_lines(_record_file(journal.folder, tier))


def _read_lines(record_file: str) -> Iterator[Any]:
    with suppress(FileNotFoundError):
        yield from map(json.loads, Path(record_file).read_text().splitlines())


def _append(record_file: str, line: list[Any]) -> None:
    descriptor = os.open(record_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


def _is_in_key(path: Path, kind: str, roles: Iterable[Path]) -> bool:
    """Say whether the key contains a path already, as a file of a role."""
    for role in roles:
        if path == role:
            return True
        if path.is_relative_to(role):
            return bool(kind) or is_digested(path.relative_to(role))
    return False


def _read_state(path: str) -> list[int] | None:
    """Return the time and size of a file, to detect a change without reading it; empty for a folder."""
    try:
        info = os.stat(path)
    except OSError:
        return None
    return [info.st_mtime_ns, info.st_size] if os.path.isfile(path) else []


def _record_file(folder: Path, tier: str, suffix: str = _FILES) -> str:
    return f"{folder}/{file_name(tier)}.{suffix}"


def _list_code_folders() -> Iterator[str]:
    yield from {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *site.getsitepackages()}
    collection = Path(__file__).resolve().parents[4]
    yield from (str(collection / "playbooks"), str(collection / "plugins"))


def _list_caches() -> Iterator[str]:
    yield str(local_files.all_state())
    yield str(local_files.all_caches())


def _with_slash(paths: Iterable[str]) -> Iterator[str]:
    """Yield each path and its real path, both with a slash at the end, so that prefixes match whole names."""
    for path in paths:
        absolute = os.path.abspath(os.path.expanduser(path))
        yield from {f"{absolute}/", f"{os.path.realpath(absolute)}/"}
