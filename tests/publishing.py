"""A chain whose images are made, not built, so that tests can publish many versions of it to a real registry.

Its tiers are those of a handed-over chain in small. Each image has one own layer of a megabyte, and can be pulled.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.manifest import MANIFEST
from made_images import config, digest, docker_save, layer, tier_step
from relay import HoldingRelay

ROOT = Path(__file__).parents[1]
#: Tier to its parent and team.
TIERS: dict[str, tuple[str | None, str]] = {
    "base": (None, "operations"),
    "web": ("base", "middleware"),
    "shop": ("web", "development"),
}
#: Bytes of each layer.
_SIZE = 1 << 20
#: A number of pieces of data that no publication has.
_NEVER = 1_000_000


@dataclass
class MadeChain:
    """A chain in its own folder, with images on an engine."""

    folder: Path
    #: The registry as the inventory names it, and the port at which it really answers.
    host: str
    port: int
    engine: Any
    environment: dict[str, str]
    name: str = field(default_factory=lambda: f"twtest-{secrets.token_hex(4)}")
    #: The version of each tier, which decides the content of its layer.
    versions: dict[str, int] = field(default_factory=dict)
    #: IDs of all images that were made.
    made: list[str] = field(default_factory=list)

    def image(self, tier: str) -> str:
        """The name of a tier's image, without a tag."""
        return f"{self.host}/{self.repository(tier)}"

    def repository(self, tier: str) -> str:
        return f"{self.name}/{tier}"

    @property
    def inventory(self) -> Path:
        return self.folder / "chain.yml"

    def write(self, **variables: Any) -> None:
        """Write the inventory, and a role for each tier."""
        hosts: dict[str, dict[str, Any]] = {}
        for tier, (parent, team) in TIERS.items():
            source: dict[str, Any] = {"tier_parent": parent} if parent else {"tier_bootstrap": {"suite": "bookworm"}}
            hosts.setdefault(team, {"hosts": {}})["hosts"][tier] = {"tier_image": self.image(tier), **source}
            tasks = self.folder / "roles" / tier / "tasks"
            tasks.mkdir(parents=True, exist_ok=True)
            (tasks / "main.yml").write_text("- name: Idle\n  ansible.builtin.raw: 'true'\n")
        chain = {"all": {"vars": {"tier_chain": self.name, **variables}}}
        self.inventory.write_text(yaml.safe_dump({**chain, "tiers": {"children": hosts}}, sort_keys=False))

    def release(self, *, changed: str = "base") -> dict[str, str]:
        """Make and release another version of a tier and of those that are built on it. Return all image IDs."""
        layers: list[bytes] = []
        steps: list[dict[str, Any]] = []
        images: dict[str, tuple[bytes, Sequence[bytes]]] = {}
        released: dict[str, str] = {}
        new = False
        for tier, (parent, team) in TIERS.items():
            new = new or tier == changed
            self.versions[tier] = self.versions.get(tier, 0) + new
            seed = f"{self.name} {tier} {self.versions[tier]}"
            layers.append(layer((f"srv/{tier}", random.Random(seed).randbytes(_SIZE))))
            steps.append(tier_step(tier, team))
            own = {labels.TIER: tier, labels.TEAM: team, labels.CHAIN: self.name}
            if parent:
                own[labels.PARENT] = released[parent]
            document = config(layers, steps, Labels=own)
            images[f"{self.image(tier)}:latest"] = document, list(layers)
            released[tier] = digest(document)
        list(self.engine.api.load_image(layer(*docker_save(images).items())))
        self.made += released.values()
        return released

    def clear(self) -> None:
        """Remove the images from the engine."""
        for tier in reversed(TIERS):
            self.engine.images.remove(f"{self.image(tier)}:latest", force=True)
        left = {image.id for image in self.engine.images.list(all=True)} & set(self.made)
        for image in left:
            with contextlib.suppress(Exception):  # a child removed it
                self.engine.images.remove(image, force=True)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start a publication in a process group of its own."""
        return subprocess.Popen(
            ["ansible-playbook", "playbooks/publish.yml", "-i", str(self.inventory), *options],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def publish(self, *options: str, code: int = 0) -> str:
        """Publish, and return the output."""
        running = self.start(*options)
        output, _ = running.communicate(timeout=120)
        assert running.returncode == code, output
        assert "Traceback" not in output, output
        return output

    def read(self, tier: str, kind: str, name: str) -> tuple[bytes, str] | None:
        """A manifest or a blob in the registry, with its digest in the answer; None if it is not there."""
        address = f"http://127.0.0.1:{self.port}/v2/{self.repository(tier)}/{kind}/{name}"
        try:
            with urlopen(Request(address, headers={"Accept": MANIFEST})) as response:
                return response.read(), response.headers["Docker-Content-Digest"]
        except HTTPError as error:
            if error.code != 404:
                raise AssertionError(address, error.read()) from error
            return None

    def tagged(self, tier: str, tag: str = "latest") -> str | None:
        """The ID of the image that a tag in the registry names. All that it names must be there, and be right."""
        answer = self.read(tier, "manifests", tag)
        if answer is None:
            return None
        manifest = json.loads(answer[0])
        for blob in (manifest["config"], *manifest["layers"]):
            found = self.read(tier, "blobs", blob["digest"])
            assert found is not None, (tier, blob)
            assert (digest(found[0]), len(found[0])) == (blob["digest"], blob["size"])
        return str(manifest["config"]["digest"])

    def pull(self, tier: str) -> str:
        """Pull the image of a tier with skopeo. Return the digest of its configuration."""
        with tempfile.TemporaryDirectory() as folder:
            source = f"docker://127.0.0.1:{self.port}/{self.repository(tier)}:latest"
            command = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", source, f"dir:{folder}"]
            subprocess.run(command, check=True, capture_output=True)
            return str(json.loads(Path(folder, "manifest.json").read_text())["config"]["digest"])


class KillCampaign:
    """Kills publications at chosen moments: before or after any piece of data between them and the registry."""

    def __init__(self, chain: MadeChain) -> None:
        """Take a chain whose inventory names a free port on this machine, where the campaign puts a relay."""
        self._chain, self._relay_port = chain, int(chain.host.rpartition(":")[2])
        self.before: dict[str, str | None] = dict.fromkeys(TIERS)

    @contextlib.contextmanager
    def _relay(self, number: int) -> Iterator[HoldingRelay]:
        relay = HoldingRelay(str(self._chain.port), "", number, self._relay_port)
        relay.start()
        try:
            yield relay
        finally:
            relay.close()
            relay.join()

    def pieces(self) -> int:
        """Publish a new version without a fault. Return how many pieces of data there were."""
        released = self._chain.release()
        with self._relay(_NEVER) as relay:
            self._chain.publish()
            count = relay.matched
        self._check(lambda tier, image: image == released[tier])
        self.before = dict(released)
        return count

    def try_one(self, number: int) -> str:
        """Kill the publication of a new version at a piece of data, check the registry, and publish again.

        Returns:
            What the registry had after the kill: for each tier ``old`` or ``new``.
        """
        released = self._chain.release()
        with self._relay(number) as relay:
            running = self._chain.start()
            while running.poll() is None and not relay.reached.wait(0.05):
                pass
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
        found = self._check(lambda tier, image: image in {self.before[tier], released[tier]})
        with self._relay(_NEVER):
            self._chain.publish()
        self._check(lambda tier, image: image == released[tier])
        folder = Path(self._chain.environment["XDG_STATE_HOME"], "tierwright", self._chain.name)
        assert not list(folder.glob("publication*.json*"))
        states = ["new" if found[tier] == released[tier] else "old" for tier in TIERS]
        self.before = dict(released)
        return ", ".join(states)

    def _check(self, allowed: Callable[[str, str | None], bool]) -> dict[str, str | None]:
        """Check what each tag names, and pull it."""
        found = {}
        for tier in TIERS:
            found[tier] = self._chain.tagged(tier)
            assert allowed(tier, found[tier]), (tier, found[tier])
            if found[tier]:
                assert self._chain.pull(tier) == found[tier]
        return found


def choose(count: int, seed: int, pieces: int) -> list[int]:
    """Choose pieces of data at random, spread over a whole publication."""
    generator = random.Random(seed)
    width = pieces / count
    return sorted(int(width * number + generator.uniform(0, width)) + 1 for number in range(count))
