# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Task files of the inventory that run around a tier's role, as ``pre_tasks`` and ``post_tasks`` do in a play.

Package lists, proxies and a company's CAs are the site's matter and none of the role's. They are parts of the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader

from ..chain.tier import Tier
from ..errors import ChainError, described
from ..keys.elsewhere import Projects
from ..keys.files import digest_path

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
