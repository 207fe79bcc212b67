"""Encodes the layers of an image in several ways, and puts each result into a registry."""

from __future__ import annotations

import importlib
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.manifest import (
    CONFIG,
    LAYER,
    MANIFEST,
    descriptor,
    image_manifest,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.loading import extract_layers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from made_images import digest
from real_registry import docker_registry

Encode = Callable[[bytes], bytes]


def _zlib(content: bytes) -> bytes:
    compressor = zlib.compressobj(6, wbits=31)
    return compressor.compress(content) + compressor.flush()


def _module(name: str, encode: Callable[[Any, bytes], bytes]) -> Encode:
    """Import a package only when it is used: without it, only its encoder is left out."""
    return lambda content: encode(importlib.import_module(name), content)


#: All of them write gzip, except the first.
ENCODERS: dict[str, Encode] = {
    "none": lambda content: content,
    "zlib-6": _zlib,
    "libdeflate-6": _module("deflate", lambda module, content: bytes(module.gzip_compress(content, 6))),
    "zlib-ng-6": _module("zlib_ng.zlib_ng", lambda module, content: module.compress(content, 6, wbits=31)),
    "isal-1": _module("isal.isal_zlib", lambda module, content: module.compress(content, 1, wbits=31)),
}


def repository(encoder: str) -> str:
    """Where the image is in the registry."""
    return f"bench/{encoder}"


def measure(engine: Engine, name: str, folder: Path) -> None:
    """Print a line for each encoder, and leave a registry's data with the results in a folder."""
    image = engine.images.get(name)
    (folder / "layers").mkdir()
    files = extract_layers(engine.images.save(image.id), {*image.layers, image.id}, folder / "layers")
    config = files[image.id].read_bytes()
    print(f"{'':14}{'MB':>8}{'encode s':>10}{'CPU s':>8}")
    with docker_registry(folder) as host:
        registry = RegistryWriter(host)
        for encoder, encode in ENCODERS.items():
            try:
                encode(b"x")
            except ImportError as error:
                print(f"{encoder:14}left out: {error}")
                continue
            size, seconds, cpu, layers = 0, 0.0, 0.0, []
            for layer in image.layers:
                content = files[layer].read_bytes()
                start, start_cpu = time.monotonic(), time.process_time()
                encoded = encode(content)
                seconds, cpu = seconds + time.monotonic() - start, cpu + time.process_time() - start_cpu
                size += len(encoded)
                _write(registry, encoder, encoded)
                kind = LAYER if encoder == "none" else f"{LAYER}.gzip"
                layers.append(descriptor(kind, digest(encoded), len(encoded)))
            _write(registry, encoder, config)
            manifest = image_manifest(descriptor(CONFIG, image.id, len(config)), layers)
            registry.write_manifest(repository(encoder), "latest", manifest, MANIFEST)
            print(f"{encoder:14}{size / 1e6:8.1f}{seconds:10.1f}{cpu:8.1f}", flush=True)
            (folder / "encoders.json").write_text(json.dumps([*_made(folder), encoder]))


def _made(folder: Path) -> list[str]:
    file = folder / "encoders.json"
    return list(json.loads(file.read_text())) if file.exists() else []


def _write(registry: RegistryWriter, encoder: str, content: bytes) -> None:
    registry.write_blob(repository(encoder), digest(content), len(content), [content], lambda _count: None)
