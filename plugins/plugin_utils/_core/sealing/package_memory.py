# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remembers the packages of a layer when it is sealed, so that its bill of materials needs no export from the engine.

Package databases are copied while the layer is sent. So what is remembered is what the layer has, even if a process in
the build container changes a database at the same time.
"""

from __future__ import annotations

import io
from contextlib import suppress

from msgspec.structs import replace

from ..errors import DamagedError
from ..layer.file_entry import WHITEOUT, FileEntry
from ..layer.tar_writer import Layer
from ..layer_index.index import Store, index
from ..layer_index.merged_files import is_kept
from ..layer_index.package_databases import is_wanted, why_not

#: A larger database is not remembered. Then the layer is read from the engine when somebody asks.
_LARGEST = 64 << 20

#: Folders above the package databases. A layer can remove or replace them.
_FOLDERS = frozenset(
    """
    var var/lib var/lib/dpkg var/lib/dpkg/status.d lib lib/apk lib/apk/db usr usr/lib usr/lib/apk usr/lib/apk/db
    var/lib/rpm usr/lib/sysimage usr/lib/sysimage/rpm etc
    """.split()  # noqa: SIM905 - words are read best as text
)


def watch_packages(layer: Layer) -> None:
    """Keep the package databases of a layer while it is read."""
    layer.keep(_is_relevant)


def remember_packages(layer: Layer) -> None:
    """Store the packages of a layer, which was read. An error is ignored: a build must not fail for a cache."""
    kept = layer.kept()
    if any(entry.size > _LARGEST for entry in kept):
        return
    with suppress(DamagedError):
        archive = io.BytesIO(b"".join(Layer(kept, 0).pieces()))
        Store().add_packages(replace(index(archive, "the packages of a new layer"), digest=layer.digest))


def _is_relevant(entry: FileEntry) -> bool:
    folder, _, name = entry.path.rpartition(b"/")
    path = b"/".join(filter(None, (folder, name.removeprefix(WHITEOUT)))).decode(errors="surrogateescape")
    return is_wanted(path) or is_kept(path) or why_not(path) is not None or path in _FOLDERS
