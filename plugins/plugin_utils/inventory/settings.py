# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of Ansible (``ansible.cfg``, its environment variables), and where its collections are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.utils.collection_loader._collection_finder import _get_collection_path

from ..keys.files import MISSING, digest_folder
from ..keys.parts import digest_bytes
from ..keys.values import digest_value
from .sources import SETTINGS

#: What ``ansible-galaxy`` writes beside a collection that it installs: the digest of each of its files.
_INSTALLED = "FILES.json"


def setting(name: str) -> Any:
    """Value of a setting.

    ``constants.config.get_config_value`` is not asked: it gives defaults with their templates
    (``{{ ANSIBLE_HOME ~ "/tmp" }}``), and makes a folder of that name for a temporary one.

    Raises:
        AnsibleError: There is no such setting.
    """
    if hasattr(constants, name):
        return getattr(constants, name)
    return constants.config.get_config_value(name)


def digest_setting(name: str) -> str:
    """Digest a setting that a role read; it may be a secret."""
    try:
        return digest_value(name, setting(name), secret=True)
    except AnsibleError:
        return MISSING


def unusual_settings() -> Iterator[tuple[str, str]]:
    """Yield name and digest of each setting in :data:`SETTINGS` that is not the default."""
    for name in SETTINGS:
        try:
            value, origin = constants.config.get_config_value_and_origin(name)
        except AnsibleError:  # this version of Ansible has no such setting
            continue
        if origin != "default":
            yield name, digest_value(name, value, secret=False)


def digest_collection(name: str) -> str:
    """Digest the plugins of a collection: by its list of files, or where nobody installed it, by the files."""
    try:
        folder = Path(_get_collection_path(name))
    except ValueError:
        return MISSING
    listed = folder / _INSTALLED
    if listed.is_file():
        return digest_bytes(listed.read_bytes())
    return digest_bytes(repr(digest_folder(folder / "plugins")).encode())
