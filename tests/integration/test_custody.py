"""Custody on a real engine: two people sign, the promotion waits for both, and then somebody tampers with all of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import BIN, WRITE, SmallChain
from .removal import remove_images

pytestmark = pytest.mark.once

PHRASE = "a long phrase of this test"
SETTINGS = {
    "signing_key": "keys/alice.key",
    "signing_passphrase": PHRASE,
    "policy_keys": ["keys/owner.pub"],
}
TESTS = """
    import pytest

    @pytest.mark.contract
    def test_one(host): assert host.file("/etc/one").exists
"""


@dataclass
class Signed:
    """A chain that two people signed."""

    chain: SmallChain
    environment: dict[str, str]
    #: The output of the run that waited for the second signature, and of the one that released.
    refused: str
    released: str

    def command(self, *words: str, code: int = 0) -> str:
        process = subprocess.run(
            [BIN / "tierwright", *words],
            cwd=self.chain.folder,
            env={**self.environment, "TIERWRIGHT_POLICY_KEYS": "keys/owner.pub"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert process.returncode == code, process.stdout
        return process.stdout

    def sign_policy(self, **rules: Any) -> None:
        """Write the policy with these rules, and sign it."""
        path = self.chain.folder / "chain-policy.yml"
        version = yaml.safe_load(path.read_text())["version"] + 1 if path.exists() else 1
        keys = {name: (self.chain.folder / f"keys/{name}.pub").read_text() for name in ("alice", "bob")}
        tiers = {"*": {"team": "operations", "clean": False, "sbom": True}, **rules}
        teams = {"operations": {"keys": keys}}
        policy = {"version": version, "expires": "2036-01-01", "teams": teams, "tiers": tiers}
        path.write_text(yaml.safe_dump(policy))
        self.command("policy", "sign", "--key", "keys/owner.key", "--passphrase-file", "phrase")

    def container(self) -> str:
        """Start a container of the uppermost tier, and return its name."""
        container = self.chain.engine.containers.create(self.chain.image("two").id, ["true"])
        return str(container.name)


@pytest.fixture(scope="module")
def signed(make_chain, environment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("custody")
    with make_chain(folder) as chain:
        own = Signed(chain, environment, "", "")
        (folder / "phrase").write_text(PHRASE)
        for name in ("alice", "bob", "owner"):
            own.command("keys", "new", name, "--team", "operations", "--passphrase-file", "phrase")
        chain.tiers["base"] |= {f"tier_{name}": value for name, value in SETTINGS.items()}
        chain.tier("one", WRITE, parent="base", **SETTINGS).tests("one", TESTS)
        chain.tier("two", WRITE, parent="one", **SETTINGS)
        own.sign_policy(one={"team": "operations", "clean": False, "signatures": 2})
        own.refused = chain.build("-e", "tier_force=base").expect(2).message
        assert not chain.released("one")
        assert not chain.released("two")
        # The name of the tier alone could also mean tiers of other tests, whose records are in the same folder.
        filters = {"label": [f"{labels.CHAIN}={chain.name}", f"{labels.TIER}=one"]}
        (candidate,) = chain.engine.images.list(filters=filters)
        sign = ["sign", str(candidate.id), "--key", "keys/bob.key", "--passphrase-file", "phrase", "--yes"]
        assert "of team operations" in own.command(*sign)
        own.released = chain.build().expect().output
        yield own
        for container in chain.engine.containers.list(all=True, filters={"ancestor": str(chain.image("two").id)}):
            container.remove(force=True)


def test_a_promotion_waits_for_the_second_signature_and_builds_nothing_again(signed):
    assert "tier 'one' is not promoted, and no tag moved: the policy refuses" in signed.refused
    assert "tierwright sign one" in signed.refused
    assert "Seal the layer" not in signed.released
    assert signed.chain.released("one")
    assert signed.chain.released("two")


def test_custody_goes_from_a_container_to_people_tests_and_packages(signed):
    answer = json.loads(signed.command("custody", signed.container(), "--json"))
    assert answer["verified"]
    assert [tier["tier"] for tier in answer["tiers"]] == ["base", "one", "two"]
    one, two = answer["tiers"][1:]
    assert one["signed_by"] == ["alice of team 'operations'", "bob of team 'operations'"]
    assert (one["tests"], two["contracts"]) == (1, ["one"])
    assert one["packages"] is not None
    assert two["person"]


def test_a_file_that_was_changed_in_the_storage_of_the_engine_is_found(signed):
    engine = signed.chain.engine
    driver = engine.api.inspect_image(str(signed.chain.image("two").id)).get("GraphDriver") or {}
    if driver.get("Name") != "overlay2":
        pytest.skip(f"the layers of this engine are in {driver.get('Name')!r}; the test knows the folders of overlay2")
    name = f"{signed.chain.name}/two:latest"
    signed.command("verify", name, "--content")
    file = Path(driver["Data"]["UpperDir"], "etc/two")
    before = file.read_bytes()
    try:
        file.write_bytes(b"evil")
        assert "the image, content: " in signed.command("verify", name, "--content", code=1)
    finally:
        file.write_bytes(before)


def test_a_layer_that_another_tool_added_is_found(signed):
    chain = signed.chain
    container = chain.engine.containers.run(chain.image("two").id, ["sh", "-c", "echo evil > /etc/evil"], detach=True)
    container.wait()
    image = container.commit(repository=f"{chain.name}/evil")
    container.remove()
    try:
        output = signed.command("verify", f"{chain.name}/evil", code=1)
        assert "tier 'two', " in output
    finally:
        chain.engine.images.remove(str(image.id), force=True)
        remove_images(chain.engine, f"reference={chain.name}/evil")


def test_records_that_were_removed_or_exchanged_are_named(signed):
    chain, name = signed.chain, f"{signed.chain.name}/two:latest"
    root = Path(signed.environment["XDG_STATE_HOME"], "tierwright/+records")
    one, two = (root / str(chain.image(tier).id).removeprefix("sha256:") for tier in ("one", "two"))
    shutil.move(one, root / "hidden")
    try:
        assert "tier 'one', provenance: " in signed.command("verify", name, code=1)
        shutil.copytree(two, one)
        assert "tier 'one', " in signed.command("verify", name, code=1)
    finally:
        shutil.rmtree(one, ignore_errors=True)
        shutil.move(root / "hidden", one)
    signed.command("verify", name)


def test_a_stricter_policy_stops_the_next_promotion_and_an_older_one_is_refused(signed):
    chain = signed.chain
    old = {name: (chain.folder / name).read_bytes() for name in ("chain-policy.yml", "chain-policy.yml.sigstore.json")}
    signed.sign_policy(two={"team": "operations", "clean": False, "writes": ["/srv/**"]})
    before = chain.image("two").id
    chain.tier("two", WRITE.replace("/etc/", "/opt/"), parent="one", **SETTINGS)
    message = chain.build().expect(2).message
    assert "tier 'two', writes: " in message
    assert "/opt/two" in message
    assert chain.image("two").id == before
    for name, content in old.items():
        (chain.folder / name).write_bytes(content)
    assert "version" in chain.build().expect(2).message
