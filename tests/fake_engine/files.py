"""Files in the containers and images of a fake engine."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.container_files import ContainerFiles
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import ContainerInfo, FileInfo
from fake_engine import archives
from fake_engine.world import PLAIN, Node, engine_call, no_session


class FakeFiles(ContainerFiles):
    def __init__(self, engine: Any) -> None:
        super().__init__(no_session(), engine.containers, PLAIN)
        self._engine = engine

    @engine_call
    def info(self, container: str, path: str) -> FileInfo | None:
        stored = self._engine.world.container(container, f"looking at {path} in container {container}")
        node = stored.files.get(posixpath.normpath(path))
        return None if node is None else FileInfo(node.changed, node.target)

    @contextmanager
    def of_image(self, image: str, path: str) -> Iterator[Iterator[bytes] | None]:
        files = archives.tree(self._engine.world, self._engine.world.image(image, f"looking into image {image}"))
        node = files.get(posixpath.normpath(path))
        yield None if node is None else iter([pack({"/" + posixpath.basename(path): node})])

    @contextmanager
    def exported(self, container: str) -> Iterator[Iterator[bytes]]:
        stored = self._engine.world.container(container, f"reading container {container}")
        yield iter([pack(stored.files)])

    @contextmanager
    def started_from(self, container: ContainerInfo) -> Iterator[Iterator[bytes]]:
        doing = f"reading what container {container.id} was started from"
        files = archives.tree(self._engine.world, self._engine.world.image(container.image, doing))
        yield iter([pack(files)])

    @engine_call
    def changed(self, container: str, doing: str) -> list[str]:
        return list(self._engine.world.container(container, doing).changed)


def pack(files: Mapping[str, Node]) -> bytes:
    """A tar archive of files, which are given by absolute path."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, node in files.items():
            info = tarfile.TarInfo(path.lstrip("/") or ".")
            info.type, info.mode = tarfile.REGTYPE, 0o755
            if node.target is not None:
                info.type, info.linkname = tarfile.SYMTYPE, node.target
            elif node.content is None:
                info.type = tarfile.DIRTYPE
            info.size = len(node.content or b"")
            tar.addfile(info, io.BytesIO(node.content or b""))
    return archive.getvalue()
