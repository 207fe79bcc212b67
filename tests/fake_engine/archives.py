"""Reads and writes the archives of a fake engine, in the form of `docker save`."""

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
from fake_engine.world import Node, StoredImage, World


class ArchiveError(Exception):
    """The archive is invalid, or a layer is neither in it nor in the engine."""


def load(world: World, content: bytes) -> None:
    """Add the images of an archive. It need not contain layers that the world already has."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            files = {member.name: content_of(tar, member) for member in tar if member.isreg() or member.islnk()}
    except tarfile.TarError as error:
        raise ArchiveError(str(error)) from error
    if "manifest.json" not in files:
        raise ArchiveError("it has no manifest.json")
    for entry in json.loads(files["manifest.json"]):
        _add_image(world, files, entry)


def content_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Read a regular file of an archive."""
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _add_image(world: World, files: dict[str, bytes], entry: dict[str, Any]) -> None:
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
    world.images[image] = StoredImage(
        labels=dict(config.get("Labels") or {}),
        layers=tuple(digests),
        config=config,
        history=[_history_entry(step, 0 if step.get("empty_layer") else next(sizes)) for step in steps][::-1],
        size=sum(len(world.layers[digest]) for digest in digests),
        created=_seconds(document.get("created")),
        architecture=document.get("architecture") or "amd64",
        document=text,
    )
    world.names.update({familiar_name(name): image for name in entry.get("RepoTags") or ()})


def pack(world: World, images: Sequence[str]) -> bytes:
    """An archive of images with all their layers."""
    files: dict[str, bytes] = {}
    entries = []
    for image in images:
        stored = world.images[image]
        paths = [f"{digest.removeprefix('sha256:')}/layer.tar" for digest in stored.layers]
        files.update({path: world.layers[digest] for path, digest in zip(paths, stored.layers, strict=True)})
        files[f"{image.removeprefix('sha256:')}.json"] = stored.document
        names = world.names_of(image) or None
        entries.append({"Config": f"{image.removeprefix('sha256:')}.json", "RepoTags": names, "Layers": paths})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in {**files, "manifest.json": json.dumps(entries).encode()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def tree(world: World, image: str) -> dict[str, Node]:
    """The files, folders and links of an image, by absolute path."""
    nodes: dict[str, Node] = {}
    for digest in world.images[image].layers:
        content = world.layers.get(digest)
        if content is None:
            continue  # the image was made up without content
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                data = content_of(tar, member) if member.isreg() else None
                target = member.linkname if member.issym() else None
                nodes["/" + member.name.strip("./")] = Node(data, target, int(member.mtime) * 10**9)
    return nodes


def _history_entry(step: dict[str, Any], size: int) -> HistoryEntry:
    return HistoryEntry(
        str(step.get("created_by") or ""), str(step.get("comment") or ""), _seconds(step.get("created")), size
    )


def _seconds(text: object) -> int:
    return int(datetime.fromisoformat(str(text)).timestamp()) if text else 0
