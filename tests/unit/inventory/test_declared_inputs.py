from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.outside_inputs import FetchFailure
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Import, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory import declared_inputs
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.declared_inputs import (
    digest_inputs,
    read_inputs,
)

SUM = "sha256:" + "0f" * 32
BASE = Tier(name="base", team="o", image="base", tag="latest", source=Bootstrap("bookworm"))
MINE = Tier(name="base", team="o", image="base", tag="latest", source=Bootstrap("bookworm", mirror="http://m/debian/"))
IMPORTED = Tier(name="base", team="o", image="base", tag="latest", source=Import("a.tar", SUM))


@pytest.fixture
def read(make_tier, tmp_path):
    def read(*declared, base=BASE, **variables):
        tier_variables = {f"tier_inputs_{name}": value for name, value in variables.items()}
        return read_inputs(
            make_tier("web", "base"), base, "web_tier_inputs", list(declared), tier_variables, inventory_folder=tmp_path
        )

    return read


@pytest.fixture
def internet(monkeypatch):
    """Answer requests without a network; return the list of requests, as address and maximum age."""
    requested = []

    def ask(questions, locate, _warn):
        addresses = {name: locate(name) for name in questions}
        requested.extend((addresses[name], question.max_age) for name, question in questions.items())
        return {name: FetchFailure("no route") if "gone" in addresses[name] else f"answer {name}" for name in questions}

    monkeypatch.setattr(declared_inputs, "ask", ask)
    monkeypatch.setattr(
        declared_inputs, "own_mirrors", lambda: {"archive": "http://a/debian", "security": "http://s/debian-security"}
    )
    return requested


@pytest.mark.parametrize(
    ("declared", "base", "addresses"),
    [
        (
            {"debian": {}},
            BASE,
            {
                "debian bookworm": "http://a/debian/dists/bookworm/InRelease",
                "debian bookworm-updates": "http://a/debian/dists/bookworm-updates/InRelease",
                "debian bookworm-security": "http://s/debian-security/dists/bookworm-security/InRelease",
            },
        ),
        (
            {"debian": {"suites": ["trixie", "trixie-security"], "security_mirror": "http://mine"}},
            MINE,
            {
                "debian trixie": "http://m/debian/dists/trixie/InRelease",
                "debian trixie-security": "http://mine/dists/trixie-security/InRelease",
            },
        ),
        ({"debian": {"suites": ["sid"]}}, IMPORTED, {"debian sid": "http://a/debian/dists/sid/InRelease"}),
        (
            {"url": "https://u:p@example.org/a.tar?x"},
            BASE,
            {"url example.org/a.tar": "https://u:p@example.org/a.tar?x"},
        ),
    ],
)
def test_each_input_has_its_addresses_and_key_parts(read, internet, declared, base, addresses):
    parts = digest_inputs({"web": read(declared, base=base)}, print)["web"].parts
    assert set(parts) == {f"input/{name}" for name in addresses}
    assert {address for address, _ in internet} == set(addresses.values())


def test_an_address_is_requested_once_with_the_lowest_maximum_age(read, internet):
    declared = {"a": read({"debian": {}}), "b": read({"debian": {}}, max_age=60), "c": read()}
    parts = digest_inputs(declared, print)
    assert parts["a"].parts == parts["b"].parts
    assert (parts["c"].parts, parts["c"].inputs) == ({}, [])
    assert [age for _, age in internet] == [60, 60, 60]


def test_apt_is_asked_for_its_mirrors_only_if_a_tier_is_built(read, monkeypatch):
    asked = []
    mirrors = {"archive": "http://a/debian", "security": "http://s/debian-security"}
    monkeypatch.setattr(declared_inputs, "own_mirrors", lambda: asked.append("apt") or mirrors)
    monkeypatch.setattr(declared_inputs, "ask", lambda questions, _locate, _warn: dict.fromkeys(questions, "cached"))
    digested = digest_inputs({"web": read({"debian": {"suites": ["bookworm"]}})}, print)["web"]
    assert (digested.parts.keys(), asked) == ({"input/debian bookworm"}, [])
    assert [entry.uri for entry in digested.inputs] == ["http://a/debian/dists/bookworm/InRelease"]
    assert asked


def test_a_pin_replaces_all_requests(read, internet, tmp_path):
    (tmp_path / "ca.pem").write_text("one")
    items = ({"debian": {}}, {"url": "http://x/gone"}, {"file": "ca.pem"}, {"url": "http://x/a", "checksum": SUM})
    parts = digest_inputs({"web": read(*items, pin="2026-11-01")}, print)["web"].parts
    assert set(parts) == {"input/file ca.pem", "input/url x/a", "inputs-pin"}
    assert parts["inputs-pin"] == "2026-11-01"
    assert internet == []
    local = digest_inputs({"web": read({"file": "ca.pem"}, pin="2026-11-01")}, print)["web"]
    assert "inputs-pin" not in local.parts


@pytest.mark.usefixtures("internet")
def test_inputs_are_described_without_credentials(read, tmp_path):
    (tmp_path / "ca.pem").write_text("one")
    items = (
        {"debian": {"suites": ["bookworm"], "mirror": "https://u:p@deb.example.org/debian"}},
        {"url": "https://u:p@example.org:8443/a.tar?token=x"},
        {"url": "https://u:p@example.org/b.tar?token=x", "checksum": SUM},
        {"file": "ca.pem"},
    )
    inputs = digest_inputs({"web": read(*items)}, print)["web"].inputs
    uris = [each.uri for each in inputs]
    assert uris == [
        "https://deb.example.org/debian/dists/bookworm/InRelease",
        "https://example.org:8443/a.tar",
        "https://example.org/b.tar",
        "file:ca.pem",
    ]
    assert inputs[2].digest == SUM
    assert all(each.digest for each in inputs)


@pytest.mark.usefixtures("internet")
def test_an_address_that_does_not_answer_is_reported_for_each_tier(read):
    declared = {tier: read({"url": "http://x/gone"}) for tier in ("web", "db")}
    with pytest.raises(ChainError) as failure:
        digest_inputs(declared, print)
    lines = str(failure.value).splitlines()
    assert len(lines) == 2
    assert "tier 'web': web_tier_inputs names x/gone, which does not answer (no route)" in lines[0]
    assert "tier_inputs_pin" in lines[0]
    assert "tier_inputs: []" in lines[0]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "each input is one of url, file, debian; it has none of them"),
        ({"url": "http://x", "file": "y"}, "it has url and file"),
        ({"file": "gone"}, "there is no file .*gone; a relative path begins at the inventory's folder"),
        ({"url": "file:///etc/passwd"}, "expected http:// or https://"),
        ({"url": "http://x", "checksum": "md5:1"}, "checksum is 'md5:1'; expected sha256:"),
        ({"file": "x", "checksum": SUM}, "checksum belongs to a url"),
        ({"debian": {"suite": "bookworm"}}, "suite"),
        ({"uri": "http://x"}, "uri"),
    ],
)
def test_an_invalid_input_is_reported_with_tier_and_variable(read, item, message):
    with pytest.raises(ChainError, match=f"tier 'web': web_tier_inputs.*{message}"):
        read(item)


def test_suites_are_required_if_the_base_was_not_bootstrapped(read):
    with pytest.raises(ChainError, match=r"debian has no suites, and the base 'base' was not .*suites: \[bookworm"):
        read({"debian": {}}, base=IMPORTED)


@pytest.mark.parametrize("age", ["often", -1, "nan"])
def test_the_maximum_age_must_be_a_number_of_seconds(read, age):
    with pytest.raises(ChainError, match="tier 'web': tier_inputs_max_age is"):
        read(max_age=age)
