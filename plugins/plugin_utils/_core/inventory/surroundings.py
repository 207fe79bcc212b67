# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's settings, loose plugins and task files around a role.

Settings of Ansible (``ansible.cfg``, its environment variables), and where its collections are.

Digests plugins that stand in no role and in no collection: any role can use them, and code says not which.

Task files of the inventory that run around a tier's role, as ``pre_tasks`` and ``post_tasks`` do in a play.

Package lists, proxies and a company's CAs are the site's matter and none of the role's. They are parts of the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.collection_loader._collection_finder import _get_collection_path

from ..build_key.file_digests import MISSING, Projects, digest_folder, digest_path
from ..build_key.parts import digest_bytes, digest_value
from ..chain.tier import Tier
from ..errors import ChainError, described
from .value_sources import PLUGINS, SETTINGS

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


#: What a file begins with that a vault protects; it is read when it runs.
_VAULT = b"$ANSIBLE_VAULT"


def digest_around(tier: Tier, projects: Projects) -> dict[str, str]:
    """Check a tier's task files and digest them.

    Args:
        tier: The tier.
        projects: Folders that names of files are relative to.

    Returns:
        Parts of the tier's key: ``before/1 tasks/ca.yml`` to digest. Their order counts.

    Raises:
        ChainError: With a line for each that is not there or holds no tasks.
    """
    parts: dict[str, str] = {}
    problems: list[str] = []
    for kind, files in (("before", tier.before), ("after", tier.after)):
        problems += _problems(tier.name, f"tier_{kind}", files)
        parts |= {
            f"{kind}/{number} {projects.name(Path(file))}": digest_path(Path(file))
            for number, file in enumerate(files, 1)
            if Path(file).is_file()
        }
    if problems:
        raise ChainError("\n".join(problems))
    return parts


def _problems(tier: str, variable: str, files: Sequence[str]) -> Iterator[str]:
    for file in files:
        where = f"tier {tier!r}: {variable} names {file}"
        if not Path(file).is_file():
            yield f"{where}, which is no file; a relative path begins at the inventory's folder"
            continue
        try:
            if not Path(file).read_bytes().startswith(_VAULT):
                tasks = DataLoader().load_from_file(file)
                if not isinstance(tasks, list | None) or not all(isinstance(each, dict) for each in tasks or ()):
                    yield f"{where}, which holds no list of tasks"
        except (AnsibleError, OSError) as error:
            yield f"{where}, which cannot be read: {described(error)}"
