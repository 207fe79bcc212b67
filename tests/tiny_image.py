"""An image that any engine can load and run, made of this machine's own shell: nothing has to be fetched for it."""

from __future__ import annotations

import functools
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import made_images

#: The programs in it; each is at this path.
PROGRAMS = ("/bin/sh", "/bin/cat", "/bin/sleep", "/bin/rm")
#: A file in it, what is in that, and a link to it.
FILE, CONTENT, LINK = "/etc/greeting", b"hello\n", "/srv/link"


@functools.cache
def lower_layer() -> bytes:
    """Programs, with what they are linked to."""
    files = {path: Path(path).resolve().read_bytes() for path in PROGRAMS}
    for program in PROGRAMS:
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", told):
            files[path] = Path(path).resolve().read_bytes()
    folders = sorted({str(each) for path in files for each in Path(path).parents} | {"/dev", "/proc", "/sys", "/tmp"})
    return _layer({folder: None for folder in folders if folder != "/"} | files)


@functools.cache
def upper_layer() -> bytes:
    return _layer({"/etc": None, FILE: CONTENT, "/srv": None, LINK: f"-> {FILE}"})


def document(labels: Mapping[str, str], **settings: Any) -> bytes:
    """The image's configuration, with two steps in its history."""
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    steps = [made_images.step("lower"), made_images.step("upper", team="operations")]
    layers = [lower_layer(), upper_layer()]
    written = json.loads(made_images.config(layers, steps, Labels=dict(labels), Cmd=["/bin/sh"], **settings))
    written["config"].setdefault("Env", ["PATH=/bin"])
    written["architecture"] = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return json.dumps(written).encode()


def archive(names: list[str], document: bytes) -> bytes:
    """The image as `docker save` writes it."""
    written = io.BytesIO()
    layers = [lower_layer(), upper_layer()]
    paths = [f"{made_images.digest(each)[7:]}/layer.tar" for each in layers]
    config = f"{made_images.digest(document)[7:]}.json"
    manifest = json.dumps([{"Config": config, "RepoTags": names or None, "Layers": paths}]).encode()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in [(config, document), *zip(paths, layers, strict=True), ("manifest.json", manifest)]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return written.getvalue()


def _layer(files: Mapping[str, Any]) -> bytes:
    entries = [
        (path.strip("/"), what, {"mode": 0o755 if what is None or path in PROGRAMS or ".so" in path else 0o644})
        for path, what in files.items()
    ]
    return made_images.layer(*entries)
