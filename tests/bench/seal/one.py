"""Does one operation on a container. Prints its time, its peak memory in bytes, and the new image, as JSON."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import document
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import container_changes
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.cleaner import Cleaner, layer_entries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import image_archive
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.loading import Layers, load
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.seal import ImageSpec, seal
from sdk_client import as_engine, sdk_client

EPOCH = 1_700_000_000


Operation = Callable[[], str | None]


def main() -> None:
    """Do the operation in the second argument on the container in the first one."""
    client = sdk_client()
    container, parent = sys.argv[1], client.api.inspect_container(sys.argv[1])["Image"]
    with _OPERATIONS[sys.argv[2]](client, container, as_engine(client).images.get(parent)) as operation:
        start = time.perf_counter()
        image = operation()
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "made": [image] if image else []}))


@contextmanager
def _commit(client: docker.DockerClient, container: str, _parent: Image) -> Iterator[Operation]:
    def commit() -> str:
        image = str(client.api.commit(container)["Id"])
        as_engine(client).containers.end(container)
        return image

    yield commit


@contextmanager
def _seal(client: docker.DockerClient, container: str, parent: Image) -> Iterator[Operation]:
    tier = Tier("bench", "bench", "twbench/seal", "latest", parent="base", role="bench")
    yield lambda: seal(as_engine(client), container, ImageSpec(tier, "role bench", EPOCH, {}, {}, parent)).id


@contextmanager
def _layer(client: docker.DockerClient, container: str, _parent: Image) -> Iterator[Operation]:
    yield lambda: _write(client, container, lambda _piece: None)


@contextmanager
def _load(client: docker.DockerClient, container: str, parent: Image) -> Iterator[Operation]:
    """Load a finished layer into the engine."""
    with tempfile.NamedTemporaryFile() as file:
        _write(client, container, file.write)
        file.flush()
        layer = image_archive.digest_file(Path(file.name))
        content = document(
            architecture=parent.architecture,
            os=parent.os,
            config={},
            layers=[*parent.layers, layer],
            history=[],
            created="2023-11-14T22:13:20Z",
        )
        layers = Layers((*parent.layers, layer), {layer: Path(file.name)}, parent.id)
        yield lambda: load(as_engine(client), content, layers).id


def _write(client: docker.DockerClient, container: str, take: Callable[[bytes], object]) -> None:
    with container_changes.read(as_engine(client), container) as tree:
        for piece in Layer(layer_entries(tree.changes, Cleaner("debian")), EPOCH).pieces():
            take(piece)


_OPERATIONS: dict[str, Callable[[docker.DockerClient, str, Image], AbstractContextManager[Operation]]] = {
    "commit": _commit,
    "seal": _seal,
    "layer": _layer,
    "load": _load,
}


if __name__ == "__main__":
    main()
