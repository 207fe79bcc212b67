# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes imports of this library fast where Ansible's loader of collections would do them.

- That loader compiles each module again in every process. Python's own loader compiles a module once, and keeps the
  result in ``__pycache__``. As always, it respects ``PYTHONDONTWRITEBYTECODE`` and ``PYTHONPYCACHEPREFIX``. A folder
  that it may not write to is no error.
- Python's garbage collector does not run during an import. It would find nothing: modules live as long as the process.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType
from zipimport import zipimporter


class LibraryLoader(SourceFileLoader):
    """Runs the code of a module without garbage collection."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of a module. Python calls this, also during the import of a module that imports this one."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            super().exec_module(module)
        finally:
            if was_enabled:
                gc.enable()


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
            self._finders[folder] = FileFinder(folder, (LibraryLoader, SOURCE_SUFFIXES))
        return self._finders[folder].find_spec(fullname)


def install(package: str, loader: object) -> None:
    """Load all modules below a package with :class:`LibraryLoader`.

    Args:
        package: Full name of the package.
        loader: The loader of the package. If it is one of Python's own, for a folder or an archive, nothing is changed.
    """
    if not isinstance(loader, SourceFileLoader | zipimporter):
        sys.meta_path.insert(0, LibraryFinder(package))
