# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes what is rendered into a folder, for Git, for ``podman kube play``, or for systemd.

The folder belongs to Tierwright: a file of an earlier rendering that is not rendered any more is removed, and a file of
anybody else is an error before anything is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import ChainError, describe_error
from ..local_files import write_atomically
from .kubernetes import ManifestGroup

_READABLE, _SECRET = 0o644, 0o600
#: The first line of each file. It shows that Tierwright may overwrite it.
HEADER = "# Rendered by Tierwright; the next deployment overwrites changes.\n"
_WIDTH = 1 << 20


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file that a target reads."""

    name: str
    content: str
    #: Whether it contains secrets, so that only its owner may read it.
    is_secret: bool = False


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and never writes an anchor."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def manifest_files(groups: Sequence[ManifestGroup]) -> list[RenderedFile]:
    """Return manifests as files, whose names have the order in which they must be applied."""
    return [
        RenderedFile(
            f"{number}0-{group.name}.yaml",
            HEADER + yaml.dump_all(group.objects, Dumper=_Dumper, sort_keys=True, width=_WIDTH, explicit_start=True),
            is_secret=group.is_secret,
        )
        for number, group in enumerate(groups, 1)
    ]


def write_files(folder: Path, files: Sequence[RenderedFile], *, check: bool = False) -> list[str]:
    """Write files into a folder.

    Args:
        folder: The folder; it is made if it does not exist.
        files: The files.
        check: Whether only to look.

    Returns:
        Names of the files that change, or would change.

    Raises:
        ChainError: A file cannot be written, or the folder has a file of somebody else with one of these names.
    """
    try:
        changed = [file for file in files if _read(folder / file.name) != file.content]
        for file in changed:
            _check_owner(folder / file.name)
        wanted = {file.name for file in files}
        old = [path for path in sorted(folder.glob("*")) if path.name not in wanted and _is_ours(path)]
        if not check:
            folder.mkdir(parents=True, exist_ok=True)
            for file in changed:
                write_atomically(folder / file.name, file.content)
                (folder / file.name).chmod(_SECRET if file.is_secret else _READABLE)
            for path in old:
                path.unlink()
    except OSError as error:
        raise ChainError(f"deploy_render_to: {folder} cannot be written: {describe_error(error)}") from error
    return sorted([*(file.name for file in changed), *(path.name for path in old)])


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(HEADER.encode())


def _check_owner(path: Path) -> None:
    if path.exists() and not _is_ours(path):
        raise ChainError(
            f"deploy_render_to: {path} exists, and Tierwright has not made it; move it away, or choose "
            "a different folder"
        )
