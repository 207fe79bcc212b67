# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of Ansible (``ansible.cfg``, environment variables), collections and loose plugins, as key parts.

A loose plugin is in no role and no collection. Every role can use it, so it is in the key of every tier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.release import __version__ as ansible_version
from ansible.utils.collection_loader._collection_finder import _get_collection_path

from ..build_key.file_digests import MISSING, Projects, digest_folder
from ..build_key.parts import COLLECTION, digest_bytes, digest_value
from ..errors import ChainError
from ..local_files import own_reads
from ..records import decode
from .value_sources import PLUGINS, SETTINGS

if TYPE_CHECKING:
    from ..custody.build_facts import BuildTools

#: The file that ``ansible-galaxy`` writes into an installed collection. It contains a digest of each file.
_FILE_LIST = "FILES.json"
#: The file beside it with the version.
_MANIFEST = "MANIFEST.json"


def setting(name: str) -> Any:
    """The value of a setting.

    ``constants.config.get_config_value`` is only the second choice: it returns defaults without evaluating their
    templates (``{{ ANSIBLE_HOME ~ "/tmp" }}``), and creates a folder of that name for a temporary folder.

    Raises:
        AnsibleError: There is no such setting.
    """
    if hasattr(constants, name):
        return getattr(constants, name)
    return constants.config.get_config_value(name)


def digest_setting(name: str) -> str:
    """Digest a setting that a role read. The setting may be a secret."""
    try:
        return digest_value(name, setting(name), secret=True)
    except AnsibleError:
        return MISSING


def changed_settings() -> Iterator[tuple[str, str]]:
    """Yield the name and the digest of each setting in :data:`SETTINGS` that does not have its default."""
    for name in SETTINGS:
        try:
            value, origin = constants.config.get_config_value_and_origin(name)
        except AnsibleError:  # this version of Ansible has no such setting
            continue
        if origin != "default":
            yield name, digest_value(name, value, secret=False)


def digest_collection(name: str) -> str:
    """Digest the plugins of a collection: its list of files, or the files themselves if it was not installed."""
    try:
        folder = Path(_get_collection_path(name))
    except ValueError:
        return MISSING
    file_list = folder / _FILE_LIST
    if file_list.is_file():
        return digest_bytes(file_list.read_bytes())
    return digest_bytes(repr(digest_folder(folder / "plugins")).encode())


def describe_tools(parts: Iterable[str]) -> BuildTools:
    """Return the versions of ansible-core and of the collections that a role used.

    Args:
        parts: Names of key parts; those of collections count.
    """
    from ..custody.build_facts import BuildTools  # noqa: PLC0415 - slow import; only a tier that is built needs it

    prefix = f"{COLLECTION}/"
    names = [name.removeprefix(prefix) for name in parts if name.startswith(prefix)]
    return BuildTools(str(ansible_version), {name: _collection_version(name) for name in names})


def _collection_version(name: str) -> str:
    """Return the version of an installed collection; empty if it is not installed, or if this is not known."""
    try:
        with own_reads():
            manifest = decode((Path(_get_collection_path(name)) / _MANIFEST).read_bytes(), dict[str, Any])
            return str(manifest["collection_info"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def digest_plugins(playbooks: Path, projects: Projects) -> dict[str, str]:
    """Digest the plugins next to a playbook, and those in the folders that Ansible's settings name.

    Args:
        playbooks: The playbook's folder.
        projects: Folders to which names of files are relative.

    Returns:
        Digests by ``plugin/<path>``.

    Raises:
        ChainError: A file cannot be read.
    """
    parts: dict[str, str] = {}
    for folder in dict.fromkeys(_plugin_folders(playbooks)):
        try:
            digests = digest_folder(folder)
        except OSError as error:
            raise ChainError(
                f"the plugins in {folder} cannot be read: {error.strerror}; expected readable files"
            ) from error
        parts |= {f"plugin/{projects.name(folder)}/{path}": digest for path, digest in digests.items()}
    return parts


def _plugin_folders(playbooks: Path) -> Iterator[Path]:
    for name, default_folder in PLUGINS.items():
        try:
            configured = setting(name) or ()
        except AnsibleError:
            configured = ()
        for folder in (playbooks / default_folder, *map(Path, configured)):
            if folder.is_dir():
                yield folder.resolve()
