"""Who signs is read from the inventory, rebuilds nothing, and is shown to nobody."""

from __future__ import annotations

import json
import os

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import local_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, SealError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.role_usage import CurrentValues
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.signing_settings import read_signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing import private_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import make_key_pair

from .test_stale_inputs import caches, edit, project  # noqa: F401 - `caches` is a fixture
from .test_value_sources import evaluate
from .world import PASSWORD, World

FOLDER = "inventories/shop"
SETTINGS = f"{FOLDER}/host_vars/db.yml"
CANARY = "canary-passphrase"


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(project(tmp_path / "clone"))
    monkeypatch.chdir(world.folder)
    return world


def vaulted(text):
    lines = VaultLib([("default", VaultSecret(PASSWORD))]).encrypt(text).decode().splitlines()
    return "!vault |\n" + "".join(f"    {line}\n" for line in lines)


def read(world):
    return read_signer(world.hostvars()["db"], world.folder / FOLDER)


def test_nobody_signs_by_default(world):
    assert read(world) is None


def test_a_file_and_a_passphrase_from_a_vault_make_a_signer(world):
    public = make_key_pair("p256", world.folder / FOLDER / "keys/db.key", CANARY)
    edit(SETTINGS, f"tier_signing_key: keys/db.key\ntier_signing_passphrase: {vaulted(CANARY)}")(world)
    signer = read(world)
    assert signer.public_key == public
    assert read(world) is signer  # it is opened once


def test_the_key_itself_can_be_in_a_vault(world, tmp_path):
    public = make_key_pair("ed25519", tmp_path / "a.key", CANARY)
    key = (tmp_path / "a.key").read_text()
    edit(
        SETTINGS,
        f"tier_signing_key: {vaulted(key)}tier_signing_passphrase: {vaulted(CANARY)}"
        f"tier_signing_public_key: {json.dumps(public.pem)}\n",
    )(world)
    assert read(world).public_key == public


def test_a_new_signer_rebuilds_nothing(world):
    world.build()
    assert world.built() == []
    make_key_pair("p256", world.folder / FOLDER / "keys/db.key", CANARY)
    edit(SETTINGS, f"tier_signing_key: keys/db.key\ntier_signing_passphrase: {vaulted(CANARY)}")(world)
    assert read(world) is not None
    decisions = world.decide()
    assert world.built() == []
    assert CANARY not in repr(decisions)
    assert "tier_signing" not in repr([decision.parts for decision in decisions.values()])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (f"tier_signing_passphrase: {CANARY}", "tier_signing_passphrase is set, but tier_signing_key is not"),
        (f"tier_signing_public_key: {CANARY}", "tier_signing_public_key is set, but tier_signing_key is not"),
        (f"tier_signing_key: [{CANARY}]", "tier_signing_key is not a string; put"),
        ("tier_signing_key: a\ntier_signing_passphrase: 4711471147", "tier_signing_passphrase is not a string; put"),
        ("tier_signing_key: ''", "tier_signing_key is an empty string"),
        (f"tier_signing_key: 'a {{{{ nobody_set_this }}}} {CANARY}'", "tier_signing_key cannot be read: its template"),
        ("tier_signing_key: nothing.key", "tier_signing_key: there is no file"),
        (f"tier_signing_key: env:NOTHING\ntier_signing_passphrase: {CANARY}", "that variable is not set"),
    ],
)
def test_wrong_settings_are_errors_without_their_values(world, settings, message):
    edit(SETTINGS, f"{settings}\n")(world)
    with pytest.raises((ChainError, TrustError)) as raised:
        read(world)
    assert str(raised.value).startswith("tier 'db': ")
    assert message in str(raised.value)
    assert CANARY not in str(raised.value)
    assert "4711471147" not in str(raised.value)


def test_a_vault_that_cannot_be_opened_is_named(world):
    lines = VaultLib([("default", VaultSecret(b"another password"))]).encrypt(CANARY).decode().splitlines()
    text = "".join(f"    {line}\n" for line in lines)
    edit(SETTINGS, f"tier_signing_key: a.key\ntier_signing_passphrase: !vault |\n{text}")(world)
    with pytest.raises(ChainError, match=r"^tier 'db': tier_signing_passphrase cannot be read: its vault cannot be"):
        read(world)


def test_a_wrong_passphrase_is_not_shown(world):
    make_key_pair("p256", world.folder / FOLDER / "keys/db.key", "right")
    edit(SETTINGS, f"tier_signing_key: keys/db.key\ntier_signing_passphrase: {CANARY}\n")(world)
    with pytest.raises(TrustError, match=r"^tier 'db': tier_signing_key: .*the passphrase is wrong") as raised:
        read(world)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ tier_signing_passphrase }}",
        "{{ vars['tier_signing_key'] }}",
        "{{ hostvars['db'].tier_signing_key }}",
        "{% for name in hostvars['db'] %}{{ hostvars['db'][name] }}{% endfor %}",
    ],
)
def test_a_role_that_reads_the_signer_makes_no_layer(world, template):
    edit(SETTINGS, f"tier_signing_key: a.key\ntier_signing_passphrase: {vaulted(CANARY)}")(world)
    usage = evaluate(world, template)
    current = CurrentValues(world.hostvars(), world.planner().inventory.projects)
    with pytest.raises(
        SealError, match=r"tier 'db': its role read tier_signing_\w+ of db, .*no layer is made"
    ) as raised:
        current.key_parts("db", usage, declared=False)
    assert CANARY not in str(raised.value)


def test_a_role_may_ask_for_a_signer_that_nobody_set(world):
    usage = evaluate(world, "{{ tier_signing_key | default('nobody') }}")
    current = CurrentValues(world.hostvars(), world.planner().inventory.projects)
    assert current.key_parts("db", usage, declared=False) == {}


def test_reading_the_signer_is_no_input_of_the_tier(world):
    """The plan records which files a role opens. The key is opened by us, and not by the role."""
    make_key_pair("p256", world.folder / FOLDER / "keys/db.key", CANARY)
    edit(SETTINGS, f"tier_signing_key: keys/db.key\ntier_signing_passphrase: {CANARY}\n")(world)
    own = []
    original = os.open

    def opened(path, *arguments, **more):
        if str(path).endswith("db.key"):
            own.append(local_files.is_own_read())
        return original(path, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private_key.os, "open", opened)
        read(world)
    assert own == [True]
