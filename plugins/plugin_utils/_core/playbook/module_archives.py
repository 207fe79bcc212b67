# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the archives of Ansible's own modules from one run to the next.

Ansible makes an archive of each module that a run uses, with the shared code that the module imports, and removes it at
the end of the run. To make one takes about 0.1 s, and the task waits for it. Only modules of ansible-core are kept, and
only while no file of ansible-core changes. Where other code could take the place of its shared code, nothing is used.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import ansible
from ansible import constants
from ansible.executor import module_common
from ansible.plugins.loader import module_utils_loader

from .. import local_files

_PACKAGE = Path(ansible.__file__).parent
_SHARED_CODE = _PACKAGE / "module_utils"
#: Names of the archives of Ansible's own modules. Those of other modules begin differently, even if their name is the
#: same (`ansible.executor.module_common`).
_OWN = re.compile(r"ansible\.modules\.\w+-ZIP_\w+-none")
#: Files that Ansible writes into each archive.
_WRITTEN = frozenset({"ansible/__init__.py", "ansible/module_utils/__init__.py"})
#: How many versions or installations of ansible-core have archives at the same time.
_KEPT = 4


def restore_archives(roles: Iterable[Path]) -> int:
    """Give Ansible the archives of earlier runs, in this process and those that it starts.

    Args:
        roles: Folders of the roles that the run may apply.

    Returns:
        The number of archives. It is 0 if a role or a folder of the configuration has shared code for modules.
    """
    if _has_other_shared_code(roles):
        return 0
    count = 0
    with contextlib.suppress(OSError):
        for archive in _archives(_kept()):
            _place(archive, _current() / archive.name)
            count += 1
    return count


def keep_archives() -> None:
    """Keep the archives that this run made, for later runs. Without a folder for caches, nothing is kept."""
    kept = _kept()
    with contextlib.suppress(OSError):
        new = [archive for archive in _archives(_current()) if not (kept / archive.name).exists()]
        for archive in filter(_has_only_own_code, new):
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            local_files.write_atomically(kept / archive.name, archive.read_bytes())
        os.utime(kept)  # it is in use, even if nothing was added
        local_files.keep_newest(kept.parent, _KEPT)


def _current() -> Path:
    """The folder where Ansible looks for the archives of this run. It need not exist."""
    return Path(str(constants.DEFAULT_LOCAL_TMP), "ansiballz_cache")


def _kept() -> Path:
    """The folder of the archives that belong to this installation of ansible-core. It need not exist."""
    digest = hashlib.sha256(f"{_PACKAGE} {ansible.__version__} {sys.version}".encode())
    for folder in (_SHARED_CODE, _PACKAGE / "modules"):
        for path in sorted(folder.rglob("*.py")):
            status = path.stat()
            digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    return local_files.cache() / "modules" / digest.hexdigest()[:16]


def _archives(folder: Path) -> list[Path]:
    """Archives of Ansible's own modules, if nobody else can write the folder: Ansible runs what is in them."""
    if not folder.is_dir():
        return []
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        return []
    return [path for path in folder.iterdir() if _OWN.fullmatch(path.name)]


def _place(archive: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        target.hardlink_to(archive)
    except FileExistsError:
        return
    except OSError:  # a different file system
        shutil.copyfile(archive, target)


def _has_other_shared_code(roles: Iterable[Path]) -> bool:
    searched = {Path(path) for path in module_utils_loader.print_paths().split(os.pathsep) if path}
    searched |= {role / "module_utils" for role in roles}
    return any(path.is_dir() and not path.is_relative_to(_SHARED_CODE) for path in searched)


def _has_only_own_code(archive: Path) -> bool:
    """Say whether all code in an archive is that of ansible-core. Ansible itself writes the code of two packages."""
    try:
        data = module_common._CachedModule.load(str(archive)).zip_data  # noqa: SLF001 - there is no other way
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(data))) as files:
            return all(info.filename in _WRITTEN or _is_own(info) for info in files.infolist())
    except Exception:  # noqa: BLE001 - a different form of a later version is not kept
        return False


def _is_own(info: zipfile.ZipInfo) -> bool:
    source = _PACKAGE.parent / info.filename
    return source.is_file() and zlib.crc32(source.read_bytes()) == info.CRC
