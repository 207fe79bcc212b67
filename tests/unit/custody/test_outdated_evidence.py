"""The rule `outdated` of a policy: security updates that an archive has, and tiers that miss them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.outdated_evidence import OutdatedReader
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.policy_check import PolicyCheck
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import read_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import open_stack
from made_images import layer
from package_archive import Archive, archive_key, status
from served import http_server
from signed_chain import SignedChain

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not (shutil.which("gpg") and shutil.which("gpgv")), reason="this machine has no gpg and gpgv"),
]

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SSL, BASH, CURL = ("openssl", "amd64", "1"), ("bash", "amd64", "1"), ("curl", "amd64", "1")
NEW_SSL, NEW_CURL = ("openssl", "amd64", "2"), ("curl", "amd64", "2")
LIMITS = {"openssl": 7, "*": 30}
KEYRING = "usr/share/keyrings/it.gpg"


def days_ago(days, now=NOW):
    return format_datetime(now - timedelta(days=days), usegmt=True)


HOSTILE = [days_ago(-1), days_ago(0), "Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", "", "\xff"]


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    with archive_key(tmp_path_factory.mktemp("g")) as made:
        yield made


@pytest.fixture
def archive(key):
    made = Archive()
    made.sign = key.sign
    with http_server(made) as made.host:
        made.put("stable", [SSL, BASH, CURL])
        made.put("stable-security", [NEW_SSL])
        made.put_file(NEW_SSL, days_ago(7))
        yield made


class World:
    """A chain whose base has packages and an archive of security updates."""

    def __init__(self, archive, key, folder):
        self.archive, self.folder = archive, folder
        self.keyring = (KEYRING, key.binary)
        self.options = f"[signed-by=/{KEYRING}]"
        self.files = {"base": [status(SSL, BASH), self.sources("stable", "stable-security"), self.keyring]}
        self.now = NOW

    def sources(self, *suites):
        return ("etc/apt/sources.list", b"".join(self.archive.source(each, self.options) for each in suites))

    def check(self, outdated=LIMITS, tier="shop"):
        """Check an image before it is promoted, as `promotion_check` does. Returns why it is refused."""
        chain = SignedChain(self.files)
        policy = read_policy(json.dumps(chain.policy(outdated=outdated)).encode(), "the policy")
        check = PolicyCheck(policy, self.now)
        folder = self.folder / f"layout{len(list(self.folder.iterdir()))}"
        check.read_layers(open_stack(f"{chain.write(folder)}:{tier}", Store()))
        try:
            check.image(chain[tier].identity, [chain], f"tier {tier!r} is not promoted")
        except TrustError as error:
            return str(error)
        return ""


@pytest.fixture
def world(archive, key, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return World(archive, key, tmp_path)


def test_a_fresh_update_may_be_missing(world):
    assert world.check() == ""
    assert "/debian/pool/openssl_2_amd64.deb" in world.archive.requested


def test_an_old_update_may_not_be_missing(world):
    world.archive.put_file(NEW_SSL, days_ago(8))
    assert world.check() == (
        "tier 'shop' is not promoted: the policy refuses shop: tier 'base', outdated: security updates are missing too "
        "long: openssl for 8 days (allowed 7); build the tier again with the updates"
    )


def test_only_security_updates_count(world):
    world.archive.put("stable", [("bash", "amd64", "9")])
    world.archive.put_file(("bash", "amd64", "9"), days_ago(99))
    assert world.check() == ""


def test_the_tier_whose_layer_changed_the_package_last_is_named(world):
    world.archive.put("stable-security", [NEW_SSL, NEW_CURL])
    world.archive.put_file(NEW_CURL, days_ago(31))
    world.files["httpd-php"] = [status(SSL, BASH, CURL)]
    assert "tier 'httpd-php', outdated: security updates are missing too long: curl for 31 days" in world.check()


def test_a_tier_above_may_bring_the_update(world):
    world.archive.put_file(NEW_SSL, days_ago(99))
    world.files["shop"] = [status(NEW_SSL, BASH)]
    assert world.check() == ""
    assert "tier 'base', outdated" in world.check(tier="wordpress")


@pytest.mark.parametrize("hide", ["sources", "pin"])
def test_a_tier_above_cannot_hide_an_update(world, hide):
    world.archive.put_file(NEW_SSL, days_ago(8))
    pin = ("etc/apt/preferences", b"Package: *\nPin: release a=stable-security\nPin-Priority: -1\n")
    world.files["shop"] = [world.sources("stable") if hide == "sources" else pin]
    assert "tier 'base', outdated: security updates are missing too long: openssl for 8 days" in world.check()


def test_packages_without_a_limit_are_not_asked_about(world):
    world.archive.files.clear()
    assert world.check({"nginx": 0}) == ""
    assert world.archive.requested == []


def unread(world):
    world.archive.files.clear()
    return "stable is not compared: it answers", "with HTTP status 404"


def gone(world):
    world.archive.host = "127.0.0.1:9"
    world.files["base"][1] = world.sources("stable-security")
    return "127.0.0.1/debian stable-security is not compared: ", "cannot be read: Connection refused"


def signed_by_others(world):
    world.archive.files["/debian/dists/stable/InRelease"] = world.archive.files[
        "/debian/dists/stable/InRelease"
    ].replace(b"Suite: stable", b"Suite: stolen")
    return "stable is not compared: it is not signed with a key that the image trusts", ""


def not_signed(world):
    world.options = "[trusted=yes]"
    world.files["base"][1] = world.sources("stable", "stable-security")
    return "main is not believed: its signature is not checked: the image trusts it without a signature", ""


def no_security(world):
    world.files["base"][1] = world.sources("stable")
    return "the sources of its apt name no archive of security updates", ""


def no_packages(world):
    del world.files["base"][0]
    return "its image has no package database", ""


def other_packages(world):
    world.files["base"][0] = ("lib/apk/db/installed", b"P:musl\nV:1\nA:x86_64\n\n")
    return "packages of apk are not compared yet", ""


@pytest.mark.parametrize(
    "change", [unread, gone, signed_by_others, not_signed, no_security, no_packages, other_packages]
)
def test_an_archive_that_does_not_tell_refuses(world, change):
    beginning, end = change(world)
    message = world.check()
    assert "tier 'base', outdated: it is not known which security updates are missing: " in message
    assert beginning in message
    assert end in message
    assert "; verify it again where its archives answer, or change `outdated` in the policy" in message


def test_what_was_seen_here_counts_without_times(world):
    """An archive without times, such as a mirror that leaves them out."""
    world.archive.put_file(NEW_SSL, None)
    assert world.check() == ""
    world.now = NOW + timedelta(days=7)
    assert world.check() == ""
    world.now = NOW + timedelta(days=8)
    assert "openssl for 8 days (allowed 7)" in world.check()


@pytest.mark.parametrize(
    "header", [days_ago(-1), days_ago(0), "Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", "", "\xff"]
)
def test_a_hostile_time_makes_no_update_younger_than_it_was_seen_here(world, header):
    world.archive.put_file(NEW_SSL, header)
    assert world.check() == ""
    world.now = NOW + timedelta(days=8)
    if header == days_ago(-1):
        world.archive.put_file(NEW_SSL, days_ago(0, world.now))
    assert "openssl for 8 days (allowed 7)" in world.check()


def test_a_newer_update_does_not_restart_the_time(world):
    assert world.check() == ""
    newest = ("openssl", "amd64", "3")
    world.archive.put("stable-security", [newest])
    world.archive.put_file(newest, days_ago(0))
    world.now = NOW + timedelta(days=1)
    assert "openssl for 8 days (allowed 7)" in world.check()


def test_a_damaged_memory_refuses(world):
    assert world.check() == ""
    [file] = Path(world.folder, "state/tierwright/+updates").glob("*.json")
    assert json.loads(file.read_text())["archive"].endswith("/debian stable-security main")
    file.write_text("[]")
    message = world.check()
    assert f"{file} is damaged" in message
    assert "remove the file" in message


def test_layers_that_were_not_read_are_not_judged(world, open_image):
    policy = read_policy(json.dumps(SignedChain().policy(outdated=LIMITS)).encode(), "the policy")
    reader = OutdatedReader(policy, NOW)
    stack = open_image([layer(*world.files["base"]), layer(("srv/it", b""))])
    layers = stack.document.layers
    assert reader.ask(layers, (), layers).problem == "its layers were not read"
    reader.read(stack)
    assert reader.ask(layers, layers[1:], layers).problem == "its layers are not those of the image"
    assert reader.ask(layers, (), layers[::-1]).problem == "its layers are not those of the image"
    assert reader.ask(layers, (), layers).days == {"openssl": 7}
    assert reader.ask(layers, layers[:1], layers).days == {}


def test_verify_asks_and_names_the_tier(world, monkeypatch):
    monkeypatch.delenv("TIERWRIGHT_POLICY_KEYS", raising=False)
    world.archive.put_file(NEW_SSL, days_ago(8, datetime.now(UTC)))
    world.files["base"] += [(f"var/lib/dpkg/info/{name}.list", b"/.\n") for name in ("openssl", "bash")]
    chain = SignedChain(world.files)
    place = chain.write(world.folder / "layout")
    for version, (limit, code) in enumerate(((7, 1), (8, 0)), 1):
        policy, owner = chain.write_policy(world.folder, version=version, outdated={"*": limit})
        options = [f"{place}:shop", "--policy", str(policy), "--policy-key", str(owner)]
        result = CliRunner().invoke(tierwright, ["verify", *options])
        assert result.exit_code == code, result.output
        assert "stable-security" in result.stderr
        assert ("tier 'base', outdated: " in result.stdout) == (code == 1)
