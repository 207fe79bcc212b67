"""An image that any engine can load and run. It consists of this machine's shell, so nothing is downloaded."""

from __future__ import annotations

import functools
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import made_images

#: Paths of the programs in it.
PROGRAMS = ("/bin/sh", "/bin/cat", "/bin/sleep", "/bin/rm")
#: A file in it, the content of the file, and a link to the file.
FILE, CONTENT, LINK = "/etc/greeting", b"hello\n", "/srv/link"


@functools.cache
def lower_layer() -> bytes:
    """The programs, and their libraries."""
    files = {path: Path(path).resolve().read_bytes() for path in PROGRAMS}
    for program in PROGRAMS:
        libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", libraries):
            files[path] = Path(path).resolve().read_bytes()
    folders = sorted(
        {str(folder) for path in files for folder in Path(path).parents} | {"/dev", "/proc", "/sys", "/tmp"}
    )
    return _layer({folder: None for folder in folders if folder != "/"} | files)


@functools.cache
def upper_layer() -> bytes:
    return _layer({"/etc": None, FILE: CONTENT, "/srv": None, LINK: f"-> {FILE}"})


def document(labels: Mapping[str, str], **settings: Any) -> bytes:
    """The configuration of the image, with two steps in its history."""
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    steps = [made_images.step("lower"), made_images.step("upper", team="operations")]
    layers = [lower_layer(), upper_layer()]
    config = json.loads(made_images.config(layers, steps, Labels=dict(labels), Cmd=["/bin/sh"], **settings))
    config["config"].setdefault("Env", ["PATH=/bin"])
    config["architecture"] = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return json.dumps(config).encode()


def archive(names: list[str], document: bytes, layers: Sequence[bytes] = ()) -> bytes:
    """The image in the form of `docker save`, perhaps with different layers."""
    content = io.BytesIO()
    layers = layers or [lower_layer(), upper_layer()]
    paths = [f"{made_images.digest(layer)[7:]}/layer.tar" for layer in layers]
    config = f"{made_images.digest(document)[7:]}.json"
    manifest = json.dumps([{"Config": config, "RepoTags": names or None, "Layers": paths}]).encode()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in [(config, document), *zip(paths, layers, strict=True), ("manifest.json", manifest)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


def _layer(files: Mapping[str, Any]) -> bytes:
    entries = [
        (path.strip("/"), content, {"mode": 0o755 if content is None or path in PROGRAMS or ".so" in path else 0o644})
        for path, content in files.items()
    ]
    return made_images.layer(*entries)
