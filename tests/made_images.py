"""Made-up layers and images, for tests that read layers and images."""

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
    """A layer. Bytes make a file, `None` a folder, `-> x` a symbolic link, and `=> x` a hard link."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content, *attributes in entries:
            info = tarfile.TarInfo(path)
            info.mode = 0o755 if content is None else 0o644
            for name, value in (attributes[0] if attributes else {}).items():
                setattr(info, name, value)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type = tarfile.SYMTYPE if content.startswith("->") else tarfile.LNKTYPE
                info.linkname = content[3:]
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return archive.getvalue()


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def step(
    created_by: str, *, team: str = "", created: str = "2026-01-02T03:04:05Z", empty: bool = False
) -> dict[str, Any]:
    entry: dict[str, Any] = {"created": created, "created_by": created_by, "author": team}
    return entry | ({"comment": f"team {team}"} if team else {}) | ({"empty_layer": True} if empty else {})


def tier_step(tier: str, team: str, **options: Any) -> dict[str, Any]:
    """The history entry that Tierwright writes for the layer of a tier."""
    return step(f"tierwright: tier {tier}: role {tier}", team=team, **options)


def config(layers: Sequence[bytes], steps: Sequence[dict[str, Any]] = (), **settings: Any) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05.123456789Z",
            "config": settings,
            "history": list(steps),
            "rootfs": {"type": "layers", "diff_ids": [digest(content) for content in layers]},
        }
    ).encode()


def add(
    files: dict[str, bytes], document: bytes, layers: Sequence[bytes], *, vendor: str = OCI, packed: bool = False
) -> bytes:
    """Add the blobs of an image to the files of a layout, and return the manifest."""
    blobs = [gzip.compress(content, mtime=0) if packed else content for content in layers]
    for blob in (document, *blobs):
        files["blobs/sha256/" + digest(blob)[7:]] = blob
    media_types = ("manifest.v1+json", "config.v1+json", "layer.v1.tar")
    if vendor == DOCKER:
        media_types = ("distribution.manifest.v2+json", "container.image.v1+json", "image.rootfs.diff.tar.gzip")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": vendor + media_types[0],
            "config": {"mediaType": vendor + media_types[1], "digest": digest(document), "size": len(document)},
            "layers": [
                {"mediaType": vendor + media_types[2], "digest": digest(blob), "size": len(blob)} for blob in blobs
            ],
        }
    ).encode()
    files["blobs/sha256/" + digest(manifest)[7:]] = manifest
    return manifest


def layout(images: dict[str, tuple[bytes, Sequence[bytes]]], **options: Any) -> dict[str, bytes]:
    """Files of an OCI layout. `images` maps each name to a configuration and layers."""
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
    """Files of an archive in the form of Docker before 25: layers first, in folders with meaningless names."""
    files: dict[str, bytes] = {}
    entries = []
    for name, (document, layers) in images.items():
        names = [f"{digest(b'folder' + content)[7:]}/layer.tar" for content in layers]
        files |= dict(zip(names, layers, strict=True))
        files[f"{digest(document)[7:]}.json"] = document
        entries.append({"Config": f"{digest(document)[7:]}.json", "RepoTags": [name], "Layers": names})
    files["manifest.json"] = json.dumps(entries).encode()
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
