"""Does one thing to a container and prints, as JSON, its time, its peak memory in bytes, and the image that it made."""

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


Doing = Callable[[], str | None]


def main() -> None:
    """Do to the container that the first argument names what the second one says."""
    client = sdk_client()
    container, parent = sys.argv[1], client.api.inspect_container(sys.argv[1])["Image"]
    with _WAYS[sys.argv[2]](client, container, as_engine(client).images.get(parent)) as do:
        started = time.perf_counter()
        image = do()
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "made": [image] if image else []}))


@contextmanager
def _commit(client: docker.DockerClient, container: str, _parent: Image) -> Iterator[Doing]:
    def do() -> str:
        made = str(client.api.commit(container)["Id"])
        as_engine(client).containers.end(container)
        return made

    yield do


@contextmanager
def _seal(client: docker.DockerClient, container: str, parent: Image) -> Iterator[Doing]:
    tier = Tier("bench", "bench", "twbench/seal", "latest", parent="base", role="bench")
    yield lambda: seal(as_engine(client), container, ImageSpec(tier, "role bench", EPOCH, {}, {}, parent)).id


@contextmanager
def _layer(client: docker.DockerClient, container: str, _parent: Image) -> Iterator[Doing]:
    yield lambda: _write(client, container, lambda _piece: None)


@contextmanager
def _load(client: docker.DockerClient, container: str, parent: Image) -> Iterator[Doing]:
    """What the engine takes to load a layer that lies ready."""
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
    with container_changes.read(as_engine(client), container) as found:
        for piece in Layer(layer_entries(found.changes, Cleaner("debian")), EPOCH).pieces():
            take(piece)


_WAYS: dict[str, Callable[[docker.DockerClient, str, Image], AbstractContextManager[Doing]]] = {
    "commit": _commit,
    "seal": _seal,
    "layer": _layer,
    "load": _load,
}


if __name__ == "__main__":
    main()
