# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Task files of the inventory that run around a tier's role (``tier_before`` and ``tier_after``), as key parts.

They are like ``pre_tasks`` and ``post_tasks`` in a play. They configure what depends on the site and not on the role:
package lists, proxies, certificate authorities of a company.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ansible.errors import AnsibleError

from ..build_key.file_digests import Projects, digest_path
from ..chain.tier import Tier
from ..errors import ChainError, describe_error
from .yaml_files import read_yaml

#: The first bytes of a file that is encrypted with a vault. Such a file is not checked before it runs.
_VAULT = b"$ANSIBLE_VAULT"


def digest_task_files(tier: Tier, projects: Projects) -> dict[str, str]:
    """Check a tier's task files and digest them.

    Args:
        tier: The tier.
        projects: Folders to which names of files are relative.

    Returns:
        Key parts: digests by names such as ``before/1 tasks/ca.yml``. The number makes the order count.

    Raises:
        ChainError: With a line for each file that does not exist, cannot be read, or contains no list of tasks.
    """
    parts: dict[str, str] = {}
    problems: list[str] = []
    for kind, files in (("before", tier.before), ("after", tier.after)):
        problems += _check_files(tier.name, f"tier_{kind}", files)
        parts |= {
            f"{kind}/{number} {projects.name(Path(file))}": digest_path(Path(file))
            for number, file in enumerate(files, 1)
            if Path(file).is_file()
        }
    if problems:
        raise ChainError("\n".join(problems))
    return parts


def _check_files(tier: str, variable: str, files: Sequence[str]) -> Iterator[str]:
    for file in files:
        where = f"tier {tier!r}: {variable} names {file}"
        if not Path(file).is_file():
            yield f"{where}, which is not a file; a relative path begins at the inventory's folder"
            continue
        try:
            if not Path(file).read_bytes().startswith(_VAULT):
                tasks = read_yaml(file)
                if not isinstance(tasks, list | None) or not all(isinstance(task, dict) for task in tasks or ()):
                    yield f"{where}, which does not contain a list of tasks"
        except (AnsibleError, OSError) as error:
            yield f"{where}, which cannot be read: {describe_error(error)}"
