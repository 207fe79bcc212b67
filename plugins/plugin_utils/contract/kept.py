# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The compatibility matrices of a chain that are kept, so that the next one shows what changed.

They lie in the folder ``matrix`` of the chain's state: one for each release, named after it; one that is about no
release is named after its moment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from ..errors import DamagedError, NotFoundError
from ..whole_file import set_aside, write_whole
from .matrix import Matrix, parse, text

#: Matrices of a chain that are kept.
KEPT = 20

_FOLDER, _FILES = "matrix", "[!.]*.json"
_MOMENT = "%Y%m%dT%H%M%SZ"


def keep(state: Path, matrix: Matrix) -> Path:
    """Keep a matrix, in place of the one of the same release.

    Args:
        state: Folder of what is known of the chain here.
        matrix: The matrix.

    Returns:
        Its file, which only the user may read. It appears whole, and the oldest of more than :data:`KEPT` go.
    """
    folder = state / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{matrix.release or matrix.moment.astimezone(UTC).strftime(_MOMENT)}.json"
    write_whole(path, text(matrix))
    for old, _matrix in _kept(state)[:-KEPT]:
        with contextlib.suppress(FileNotFoundError):  # another run was quicker
            old.unlink()
    return path


def set_damaged_aside(state: Path) -> Iterator[str]:
    """Let files that are no matrices be in nobody's way; yields a sentence for each."""
    for path in (state / _FOLDER).glob(_FILES):
        try:
            parse(path.read_bytes(), str(path))
        except (DamagedError, OSError) as error:
            yield set_aside(path, error)


def kept(state: Path) -> list[Matrix]:
    """Matrices that are kept of a chain, the oldest first.

    Raises:
        DamagedError: One of the files is none.
    """
    return [matrix for _path, matrix in _kept(state)]


def is_kept(state: Path) -> bool:
    """Say whether there is a matrix of a chain."""
    return any((state / _FOLDER).glob(_FILES))


def newest(state: Path) -> tuple[Matrix, Matrix | None]:
    """The newest matrix, and what it is to be compared with.

    That is the newest of the releases before it; where there is none, the newest of all before it.

    Raises:
        NotFoundError: None is kept.
        DamagedError: One of the files is none.
    """
    if not (found := kept(state)):
        raise NotFoundError(f"{state / _FOLDER} holds no compatibility matrix; `make compatibility` makes one")
    *before, now = found
    released = [each for each in before if each.release]
    return now, next(reversed(released or before), None)


def _kept(state: Path) -> list[tuple[Path, Matrix]]:
    found = [(path, parse(path.read_bytes(), str(path))) for path in (state / _FOLDER).glob(_FILES)]
    return sorted(found, key=lambda each: (each[1].moment, each[0].name))
