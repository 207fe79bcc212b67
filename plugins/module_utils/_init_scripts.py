# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Enables and disables init scripts with update-rc.d, as systemd does for services that have one."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable

from ._unit_links import UnitError

_UPDATE = "/usr/sbin/update-rc.d"


class InitScript:
    """The script of one service in ``/etc/init.d``."""

    def __init__(self, name: str, run: Callable[..., tuple[int, str, str]], root: str = "/") -> None:
        """Take the name of the service, and the function that runs commands: ``run_command`` of a module."""
        self._name, self._run, self._root = name, run, root

    @property
    def exists(self) -> bool:
        """Whether there is such a script that update-rc.d can handle."""
        return all(os.path.exists(os.path.join(self._root, path.lstrip("/"))) for path in (self._path, _UPDATE))

    @property
    def is_enabled(self) -> bool:
        """Whether a run level starts it."""
        name = glob.escape(self._name)
        return bool(glob.glob(os.path.join(self._root, "etc", "rc[0-6S].d", "S[0-9][0-9]" + name)))

    def enable(self) -> None:
        """Make its run levels start it."""
        self._update("defaults")
        self._update("enable")

    def disable(self) -> None:
        """Make no run level start it."""
        self._update("defaults")
        self._update("disable")

    @property
    def _path(self) -> str:
        return "/etc/init.d/" + self._name

    def _update(self, action: str) -> None:
        # Without this variable, update-rc.d also changes the links of the unit, which are made elsewhere.
        options = {"environ_update": {"_SKIP_SYSTEMD_NATIVE": "1"}}
        status, output, errors = self._run([_UPDATE, self._name, action], **options)
        if status != 0:
            raise UnitError(f"update-rc.d {self._name} {action} failed: {(errors or output).strip()}")
