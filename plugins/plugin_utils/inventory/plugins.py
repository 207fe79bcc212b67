# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests plugins that stand in no role and in no collection: any role can use them, and code says not which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible.errors import AnsibleError

from ..errors import ChainError
from ..keys.elsewhere import Projects
from ..keys.files import digest_folder
from .settings import setting
from .sources import PLUGINS


def digest_plugins(playbooks: Path, projects: Projects) -> dict[str, str]:
    """Digest the plugins beside a playbook, and those in the folders that Ansible's settings name.

    Args:
        playbooks: The playbook's folder.
        projects: Folders that names are relative to.

    Returns:
        ``plugin/<path>`` to digest.

    Raises:
        ChainError: One cannot be read.
    """
    parts: dict[str, str] = {}
    for folder in dict.fromkeys(_folders(playbooks)):
        try:
            found = digest_folder(folder)
        except OSError as error:
            raise ChainError(
                f"the plugins in {folder} cannot be read: {error.strerror}; expected readable files"
            ) from error
        parts |= {f"plugin/{projects.name(folder)}/{path}": digest for path, digest in found.items()}
    return parts


def _folders(playbooks: Path) -> Iterator[Path]:
    for name, beside in PLUGINS.items():
        try:
            configured = setting(name) or ()
        except AnsibleError:
            configured = ()
        for folder in (playbooks / beside, *map(Path, configured)):
            if folder.is_dir():
                yield folder.resolve()
