# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets Python cache the byte code of this library where Ansible's loader of collections would import it.

That loader compiles each module again in every process. Python's own loader compiles a module once, and keeps the
result in ``__pycache__``. As always, it respects ``PYTHONDONTWRITEBYTECODE`` and ``PYTHONPYCACHEPREFIX``, and a folder
that it may not write to is no error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType


class LibraryFinder:
    """Finds the modules of one package, and nothing else. It is an entry of ``sys.meta_path``."""

    def __init__(self, package: str) -> None:
        """Find the modules below ``package``."""
        self._prefix = f"{package}."
        self._finders: dict[str, FileFinder] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module. Python calls this.

        Args:
            fullname: Full name of the module.
            path: The folder of its package.

        Returns:
            ``None`` for modules of other packages: Python then asks the next finder, which is that of Ansible.
        """
        if not path or not fullname.startswith(self._prefix):
            return None
        folder = path[0]
        if folder not in self._finders:
            # Not through sys.path_hooks: there, too, Ansible's finder comes first.
            self._finders[folder] = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))
        return self._finders[folder].find_spec(fullname)


def cache_byte_code(package: str, loader: object) -> None:
    """Let Python cache the byte code of all modules below a package.

    Args:
        package: Full name of the package.
        loader: The loader of the package. If it is Python's own, nothing is to be done.
    """
    if not isinstance(loader, SourceFileLoader):
        sys.meta_path.insert(0, LibraryFinder(package))
