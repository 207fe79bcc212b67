"""`tierwright verify` of an image in a registry: its records are there, and so is the release record of its chain."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import freshness
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers import fallback_tag
from fake_registry import digest, fake_registry
from published_chain import RECORD, PublishedChain
from signed_chain import SignedChain

pytestmark = pytest.mark.once

TIER = "httpd-php"


@pytest.fixture
def published(monkeypatch, tmp_path):
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("TIERWRIGHT_POLICY_KEYS", raising=False)
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))
    monkeypatch.setattr(freshness, "_PAUSES", (0.0,))
    with fake_registry() as registry:
        yield PublishedChain(registry, SignedChain(), ("base", "corebuild", TIER))


@pytest.fixture
def verify(published, tmp_path):
    """A function that verifies an image in the registry."""
    path, owner = published.chain.write_policy(tmp_path, releases={"teams": ["operations"], "valid": 21})

    def run(reference=f"{TIER}:latest"):
        name = f"docker://{published.registry.host}/shop/{reference}"
        result = CliRunner().invoke(tierwright, ["verify", name, "--policy", str(path), "--policy-key", str(owner)])
        return result.exit_code, result.output

    return run


@pytest.mark.parametrize("reference", [f"{TIER}:latest", TIER])
def test_a_released_image_is_verified_with_the_records_of_its_registry(verify, reference):
    code, output = verify(reference)
    assert (code, output.count("\n")) == (0, 1), output


def test_the_registry_is_asked_if_the_records_of_this_machine_are_not_enough(published, tmp_path):
    path, owner = published.chain.write_policy(tmp_path, {"corebuild": {"signatures": 2}})
    for bundle in published.chain["corebuild"].bundles:  # of alice alone
        LocalRecords().add(published.chain["corebuild"].identity.config, bundle)
    name = f"docker://{published.registry.host}/shop/{TIER}@{digest(published.chain[TIER].manifest)}"
    words = ["verify", name, "--policy", str(path), "--policy-key", str(owner)]
    assert CliRunner().invoke(tierwright, words).exit_code == 1
    published.chain.sign("corebuild", "bob")
    published.attach(published.chain["corebuild"], published.chain["corebuild"].bundles)
    result = CliRunner().invoke(tierwright, words)
    assert result.exit_code == 0, result.output


def test_a_flipped_record_is_named(verify, published):
    for key, content in published.records("corebuild"):
        published.registry.blobs["shop/corebuild", key] = content.replace(b"dsseEnvelope", b"dsseenvelope")
    code, output = verify()
    assert code == 1
    assert "tier 'corebuild', provenance" in output
    assert "is damaged: it has the digest" in output


def test_records_that_were_removed_are_missed(verify, published):
    del published.registry.tags[f"shop/{TIER}", fallback_tag(digest(published.chain[TIER].manifest))]
    code, output = verify()
    assert code == 1
    assert f"tier '{TIER}', signature" in output


def test_a_frozen_registry_is_found_unless_the_image_is_named_by_digest(verify, published):
    published.release(2, days=-1)
    code, output = verify()
    assert code == 1
    assert f"tier '{TIER}', freshness: the release record 2 expired on" in output
    assert verify(f"{TIER}@{digest(published.chain[TIER].manifest)}")[0] == 0


def test_a_replayed_release_is_found(verify, published):
    old = published.registry.tags[f"shop/{TIER}", RECORD]
    published.release(2)
    assert verify()[0] == 0
    published.registry.tags[f"shop/{TIER}", RECORD] = old
    code, output = verify()
    assert code == 1
    assert "freshness: the release record 1 was replayed: record 2 was seen before" in output


def test_a_registry_that_fails_is_no_verdict(verify, published):
    published.registry.fault = lambda _method, path: 500 if RECORD in path else None
    code, output = verify()
    assert code not in {0, 1}
    assert "HTTP status 500" in output
