"""Archives that a fake engine loads and packs, in the form of `docker save`."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import familiar_name
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import HistoryEntry
from fake_engine.world import HeldImage, Node, World


class ArchiveError(Exception):
    """It is none, or a layer is missing that is not there yet."""


def load(world: World, content: bytes) -> None:
    """Hold the images of an archive; layers that the world has may be missing in it."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            files = {each.name: content_of(tar, each) for each in tar if each.isreg()}
    except tarfile.TarError as error:
        raise ArchiveError(str(error)) from error
    if "manifest.json" not in files:
        raise ArchiveError("it has no manifest.json")
    for each in json.loads(files["manifest.json"]):
        _hold(world, files, each)


def content_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Read a regular file of an archive."""
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _hold(world: World, files: dict[str, bytes], entry: dict[str, Any]) -> None:
    text = files[entry["Config"]]
    document = json.loads(text)
    digests = document["rootfs"]["diff_ids"]
    for digest, path in zip(digests, entry["Layers"], strict=True):
        if path in files:
            world.layers[digest] = files[path]
        elif digest not in world.layers:
            raise ArchiveError(f"layer {digest} is missing")
    config = document.get("config") or {}
    sizes = iter([len(world.layers[digest]) for digest in digests])
    steps = document.get("history") or [{} for _digest in digests]
    image = "sha256:" + hashlib.sha256(text).hexdigest()
    world.images[image] = HeldImage(
        labels=dict(config.get("Labels") or {}),
        layers=tuple(digests),
        config=config,
        history=[_step(each, 0 if each.get("empty_layer") else next(sizes)) for each in steps][::-1],
        size=sum(len(world.layers[digest]) for digest in digests),
        created=_seconds(document.get("created")),
        architecture=document.get("architecture") or "amd64",
        document=text,
    )
    world.names.update({familiar_name(name): image for name in entry.get("RepoTags") or ()})


def packed(world: World, images: Sequence[str]) -> bytes:
    """Pack images with all their layers."""
    files: dict[str, bytes] = {}
    entries = []
    for image in images:
        held = world.images[image]
        paths = [f"{digest.removeprefix('sha256:')}/layer.tar" for digest in held.layers]
        files.update({path: world.layers[digest] for path, digest in zip(paths, held.layers, strict=True)})
        files[f"{image.removeprefix('sha256:')}.json"] = held.document
        names = world.names_of(image) or None
        entries.append({"Config": f"{image.removeprefix('sha256:')}.json", "RepoTags": names, "Layers": paths})
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in {**files, "manifest.json": json.dumps(entries).encode()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return written.getvalue()


def tree(world: World, image: str) -> dict[str, Node]:
    """All that is in an image, by absolute path."""
    found: dict[str, Node] = {}
    for digest in world.images[image].layers:
        content = world.layers.get(digest)
        if content is None:
            continue  # of an image that was made up
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for each in tar:
                data = content_of(tar, each) if each.isreg() else None
                target = each.linkname if each.issym() else None
                found["/" + each.name.strip("./")] = Node(data, target, int(each.mtime) * 10**9)
    return found


def _step(step: dict[str, Any], size: int) -> HistoryEntry:
    return HistoryEntry(
        str(step.get("created_by") or ""), str(step.get("comment") or ""), _seconds(step.get("created")), size
    )


def _seconds(text: object) -> int:
    return int(datetime.fromisoformat(str(text)).timestamp()) if text else 0
