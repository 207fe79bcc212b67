# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes what is rendered into a folder, for Git, for ``podman kube play``, or for systemd.

The folder belongs to Tierwright: a file of an earlier rendering that is not rendered any more is removed, and a file of
anybody else is an error before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ..build_key.source_version import ask_git
from ..errors import ChainError, describe_error
from ..local_files import write_atomically
from .kubernetes import KubeObject, ManifestGroup

_READABLE, _SECRET = 0o644, 0o600
#: The first line of each file. It shows that Tierwright may overwrite it.
HEADER = "# Rendered by Tierwright; the next deployment overwrites changes.\n"
_WIDTH = 1 << 20


class RenderedFile(msgspec.Struct, frozen=True):
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


def as_yaml(objects: Iterable[KubeObject]) -> str:
    """Return objects as documents of YAML. Equal objects give equal texts."""
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=True, width=_WIDTH, explicit_start=True)


def manifest_files(groups: Sequence[ManifestGroup]) -> list[RenderedFile]:
    """Return manifests as files, whose names have the order in which they must be applied."""
    return [
        RenderedFile(f"{number}0-{group.name}.yaml", HEADER + as_yaml(group.objects), is_secret=group.is_secret)
        for number, group in enumerate(groups, 1)
    ]


class RenderedChange(msgspec.Struct, frozen=True):
    """A file that changes."""

    path: Path
    #: Its content now, and afterwards; ``None`` if there is no file.
    before: str | None
    after: str | None
    is_secret: bool = False
    #: The permissions that it gets.
    mode: int = _READABLE

    @property
    def difference(self) -> dict[str, str]:
        """The difference for ``--diff``. It shows no secret."""
        if self.is_secret:
            return {"prepared": f"{self.path}: the difference is not shown, because the file contains secrets\n"}
        headers = {"before_header": str(self.path), "after_header": str(self.path)}
        return {**headers, "before": self.before or "", "after": self.after or ""}


def compare_files(folder: Path, files: Sequence[RenderedFile]) -> list[RenderedChange]:
    """Compare a folder with the files that it shall have.

    Args:
        folder: The folder; it need not exist.
        files: The files.

    Returns:
        The files that change, and those of an earlier rendering that are removed.

    Raises:
        ChainError: A file cannot be read, the folder has a file of somebody else with one of these names, or Git would
            keep a secret.
    """
    try:
        changes = [
            RenderedChange(folder / file.name, before, file.content, file.is_secret, mode)
            for file in files
            for before, mode in [(_read(folder / file.name), _SECRET if file.is_secret else _READABLE)]
            if before != file.content or (folder / file.name).stat().st_mode & 0o777 != mode
        ]
        for change in changes:
            _check_owner(change.path)
        wanted = {file.name for file in files}
        old = [path for path in sorted(folder.glob("*")) if path.name not in wanted and _is_ours(path)]
        removed = [RenderedChange(path, path.read_text(), None, path.stat().st_mode & 0o777 == _SECRET) for path in old]
    except OSError as error:
        raise ChainError(f"deploy_render_to: {folder} cannot be read: {describe_error(error)}") from error
    for file in files:
        if file.is_secret:
            _check_git(folder / file.name)
    return sorted([*changes, *removed], key=lambda change: change.path.name)


def write_files(folder: Path, changes: Sequence[RenderedChange]) -> None:
    """Write the files that change into a folder. The folder is made if it does not exist.

    Raises:
        ChainError: A file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for change in changes:
            if change.after is None:
                change.path.unlink()
            else:
                write_atomically(change.path, change.after)
                change.path.chmod(change.mode)
    except OSError as error:
        raise ChainError(f"deploy_render_to: {folder} cannot be written: {describe_error(error)}") from error


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


def _check_git(path: Path) -> None:
    """Check that a file with secrets does not get into a commit. Everybody with the repository could read it."""
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    if (ask_git(folder, "rev-parse", "--is-inside-work-tree") or "").strip() != "true":
        return
    if ask_git(folder, "check-ignore", "--quiet", str(path.absolute())) is None:
        raise ChainError(
            f"deploy_render_to: {path} would contain secrets in a Git work tree, and Git does not ignore it; add "
            f"{path.name} to .gitignore, or set deploy_existing_secret to the name of a secret in the cluster"
        )
