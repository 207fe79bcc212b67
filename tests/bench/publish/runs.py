"""Publishes the demo chain, and another version of its last tier."""

from __future__ import annotations

import io
import json
import os
import secrets
import statistics
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.loading import extract_layers
from made_images import digest, docker_save, layer
from real_registry import docker_registry
from sdk_client import as_engine

_ROOT = Path(__file__).parents[3]
_INVENTORY = _ROOT / "inventories/wordpress/chain.yml"


def measure(client: Any, folder: Path, rounds: int) -> None:
    """Publish, and print a line for each kind of publication."""
    chain = yaml.safe_load(_INVENTORY.read_text())
    hosts = {name: host for team in chain["tiers"]["children"].values() for name, host in team["hosts"].items()}
    with docker_registry(folder) as host:
        names = {tier: f"{host}/twbench/{tier}" for tier in hosts}
        for tier, variables in hosts.items():
            variables["tier_image"] = names[tier]
            client.images.get(f"{tier}:latest").tag(names[tier], "latest")
        chain["all"] = {"vars": {"tier_chain": "twbench"}}
        (folder / "chain.yml").write_text(yaml.safe_dump(chain))
        (folder / "roles").symlink_to(_ROOT / "roles")
        last = list(hosts)[-1]
        try:
            print(f"{'':24}{'median s':>10}{'min s':>8}{'max s':>8}", flush=True)
            _show("everything", [_publish(folder)])
            _show(f"{len(hosts)} unchanged tiers", [_publish(folder) for _round in range(rounds)])
            changed = []
            for _round in range(rounds):
                size = _change(client, names[last], folder)
                changed.append(_publish(folder))
            _show(f"{last}, {size / 1e6:.0f} MB changed", changed)
        finally:
            for name in names.values():
                client.images.remove(f"{name}:latest", force=True)


def _show(name: str, seconds: list[float]) -> None:
    print(f"{name:24}{statistics.median(seconds):10.2f}{min(seconds):8.2f}{max(seconds):8.2f}", flush=True)


def _publish(folder: Path) -> float:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    start = time.monotonic()
    command = ["ansible-playbook", "playbooks/publish.yml", "-i", str(folder / "chain.yml")]
    process = subprocess.run(command, cwd=_ROOT, env=environment, check=False, capture_output=True, text=True)
    if process.returncode:
        raise SystemExit(process.stdout)
    return time.monotonic() - start


def _change(client: Any, name: str, folder: Path) -> int:
    """Add a file to the last layer of an image, and load the result under the same name. Return the layer's size."""
    engine = as_engine(client)
    image = engine.images.get(f"{name}:latest")
    layers = folder / f"layers-{secrets.token_hex(4)}"
    layers.mkdir()
    files = extract_layers(engine.images.save(image.id), {*image.layers, image.id}, layers)
    content = io.BytesIO(files[image.layers[-1]].read_bytes())
    with tarfile.open(fileobj=content, mode="a") as tar:
        tar.addfile(tarfile.TarInfo(f"var/{secrets.token_hex(8)}"))
    changed = content.getvalue()
    document = json.loads(files[image.id].read_bytes())
    document["rootfs"]["diff_ids"][-1] = digest(changed)
    lower = [files[each].read_bytes() for each in image.layers[:-1]]
    archive = docker_save({f"{name}:latest": (json.dumps(document).encode(), [*lower, changed])})
    client.images.load(layer(*archive.items()))
    return len(changed)
