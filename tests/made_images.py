"""Layers and images made by hand, for tests that look at them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."


def layer(*entries: tuple[str, Any] | tuple[str, Any, dict[str, Any]]) -> bytes:
    """A layer: bytes make a file, `None` a folder, `-> x` a symbolic and `=> x` a hard link."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, what, *more in entries:
            info = tarfile.TarInfo(path)
            info.mode = 0o755 if what is None else 0o644
            for name, value in (more[0] if more else {}).items():
                setattr(info, name, value)
            if what is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(what, str):
                info.type = tarfile.SYMTYPE if what.startswith("->") else tarfile.LNKTYPE
                info.linkname = what[3:]
            else:
                info.size = len(what)
            tar.addfile(info, io.BytesIO(what) if isinstance(what, bytes) else None)
    return written.getvalue()


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def step(by: str, *, team: str = "", created: str = "2026-01-02T03:04:05Z", empty: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {"created": created, "created_by": by, "author": team}
    return told | ({"comment": f"team {team}"} if team else {}) | ({"empty_layer": True} if empty else {})


def ours(tier: str, team: str, **more: Any) -> dict[str, Any]:
    return step(f"tierwright: tier {tier}: role {tier}", team=team, **more)


def config(layers: Sequence[bytes], steps: Sequence[dict[str, Any]] = (), **settings: Any) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05.123456789Z",
            "config": settings,
            "history": list(steps),
            "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in layers]},
        }
    ).encode()


def add(
    files: dict[str, bytes], document: bytes, layers: Sequence[bytes], *, vendor: str = OCI, packed: bool = False
) -> bytes:
    """Put an image's blobs among the files of a layout; the manifest is returned."""
    stored = [gzip.compress(each, mtime=0) if packed else each for each in layers]
    for each in (document, *stored):
        files["blobs/sha256/" + digest(each)[7:]] = each
    kind = ("manifest.v1+json", "config.v1+json", "layer.v1.tar")
    if vendor == DOCKER:
        kind = ("distribution.manifest.v2+json", "container.image.v1+json", "image.rootfs.diff.tar.gzip")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": vendor + kind[0],
            "config": {"mediaType": vendor + kind[1], "digest": digest(document), "size": len(document)},
            "layers": [{"mediaType": vendor + kind[2], "digest": digest(each), "size": len(each)} for each in stored],
        }
    ).encode()
    files["blobs/sha256/" + digest(manifest)[7:]] = manifest
    return manifest


def layout(images: dict[str, tuple[bytes, Sequence[bytes]]], **options: Any) -> dict[str, bytes]:
    """Files of an OCI layout with images by name: each its configuration and layers."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    entries = []
    for name, (document, layers) in images.items():
        manifest = add(files, document, layers, **options)
        entries.append(
            {
                "mediaType": OCI + "manifest.v1+json",
                "digest": digest(manifest),
                "size": len(manifest),
                "annotations": {"org.opencontainers.image.ref.name": name},
            }
        )
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return files


def docker_save(images: dict[str, tuple[bytes, Sequence[bytes]]]) -> dict[str, bytes]:
    """Files of an archive as Docker before 25 writes it: layers first, in folders with names that mean nothing."""
    files: dict[str, bytes] = {}
    listed = []
    for name, (document, layers) in images.items():
        names = [f"{digest(b'folder' + each)[7:]}/layer.tar" for each in layers]
        files |= dict(zip(names, layers, strict=True))
        files[f"{digest(document)[7:]}.json"] = document
        listed.append({"Config": f"{digest(document)[7:]}.json", "RepoTags": [name], "Layers": names})
    files["manifest.json"] = json.dumps(listed).encode()
    return files


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def pack(path: Path, files: dict[str, bytes], *, packed: bool = False) -> Path:
    content = layer(*files.items())
    path.write_bytes(gzip.compress(content) if packed else content)
    return path
