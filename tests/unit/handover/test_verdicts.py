"""Verdicts are written, read back, and not believed if they are damaged, too large, or about something else."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError, EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.verdicts import (
    ConsumerVerdict,
    read_verdict,
    verdict_tag,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.tell_verdict import tell_verdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import RejectedTest
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_client import RegistryClient
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest

MANIFEST = digest(b"corebuild")
TEST = RejectedTest("test_it.py::test_php", "development", "wordpress", "no PHP", "a log")
NO = ConsumerVerdict("r.example.org/ops/core", MANIFEST, "wordpress", "development", False, 3, "1 test fails", (TEST,))  # noqa: FBT003
YES = replace(NO, passed=True, problem="", failed=())
REPOSITORY = "development/wordpress"


def read(registry, manifest=MANIFEST):
    return read_verdict(RegistryClient(registry.host), REPOSITORY, manifest)


def put(registry, text, **changes):
    """Store anything as a verdict."""
    content = text.encode() if isinstance(text, str) else text
    registry.blobs[REPOSITORY, digest(content)] = content
    document = {
        "artifactType": "application/vnd.tierwright.verdict.v1",
        "layers": [{"digest": digest(content)}],
        **changes,
    }
    registry.put(REPOSITORY, verdict_tag(MANIFEST), json.dumps(document).encode())


def test_there_is_no_verdict_at_first(registry):
    assert read(registry) is None


@pytest.mark.parametrize("verdict", [YES, NO])
def test_a_verdict_is_read_back(registry, verdict):
    tell_verdict(RegistryWriter(registry.host), REPOSITORY, verdict)
    assert read(registry) == verdict
    assert read(registry, digest(b"another")) is None


def test_a_later_verdict_replaces_an_earlier_one(registry):
    for verdict in (NO, YES):
        tell_verdict(RegistryWriter(registry.host), REPOSITORY, verdict)
    assert read(registry) == YES


@pytest.mark.parametrize("character", ["x", "\x1b", "\n", "ä", "\U0001f600", "\udcff"])
def test_the_largest_verdict_can_be_read(registry, character):
    text = character * 100_000
    test = RejectedTest(text, text, text, text, text)
    tell_verdict(RegistryWriter(registry.host), REPOSITORY, replace(NO, problem=text, failed=(test,) * 100))
    found = read(registry)
    assert (len(found.failed), len(found.problem)) == (20, 10_000)
    assert {len(part) for part in (found.failed[0].message, found.failed[0].log)} == {10_000}


def test_the_end_of_a_log_is_kept(registry):
    test = replace(TEST, log="a" * 20_000 + "the end")
    tell_verdict(RegistryWriter(registry.host), REPOSITORY, replace(NO, failed=(test,)))
    assert read(registry).failed[0].log.endswith("the end")


@pytest.mark.parametrize(
    ("verdict", "problem"),
    [
        (replace(YES, digest=digest(b"another")), "it is about sha256:"),
        (replace(YES, team="a\nb"), r"'a\\nb' is not a name of one line"),
        (replace(YES, team="\x1b[2J"), "is not a name of one line"),
        (replace(YES, tier=""), "'' is not a name of one line"),
        (replace(YES, tier="x" * 300), "'x+…"),
    ],
)
def test_a_verdict_with_wrong_values_is_damaged(registry, verdict, problem):
    put(registry, encode(verdict))
    with pytest.raises(DamagedError, match=f"verdict of {REPOSITORY} about {MANIFEST} .* is damaged: .*{problem}") as e:
        read(registry)
    assert len(str(e.value)) < 1000


@pytest.mark.parametrize(
    ("text", "changes", "problem"),
    [
        ("", {}, "Expecting value"),
        ("[" * 100_000, {}, "nested too deeply"),
        (encode(YES).replace("true", '"yes"'), {}, "Expected `bool`"),
        (encode(YES).replace("true", "1"), {}, "Expected `bool`"),
        (encode(YES).replace('"tests": 3', f'"tests": {"9" * 400}'), {}, "at most 300 digits"),
        (b"\xff\xfe\x00", {}, "is damaged"),
        (encode(YES), {"artifactType": "application/other"}, "its tag names something else"),
        (encode(YES), {"layers": []}, "its tag names something else"),
        (encode(YES), {"layers": "x"}, "its tag names something else"),
        (encode(YES), {"layers": [7]}, "its tag names something else"),
        (encode(YES), {"layers": [{"digest": "../../x"}]}, "its tag names something else"),
        (encode(YES), {"layers": [{"digest": digest(b"nothing")}]}, "its content is missing"),
    ],
)
def test_hostile_documents_are_damaged(registry, text, changes, problem):
    put(registry, text, **changes)
    with pytest.raises(DamagedError, match=problem):
        read(registry)


def test_a_manifest_that_is_no_object_is_damaged(registry):
    registry.put(REPOSITORY, verdict_tag(MANIFEST), b"[]")
    with pytest.raises(DamagedError):
        read(registry)


def test_a_verdict_that_is_too_large_is_not_read(registry):
    put(registry, b" " * (9 << 20))
    with pytest.raises(DamagedError):
        read(registry)


def test_content_with_a_different_digest_is_damaged(registry):
    put(registry, encode(YES))
    registry.blobs = {key: content + b" " for key, content in registry.blobs.items()}
    with pytest.raises(DamagedError, match="it has the digest"):
        read(registry)


def test_a_rejected_request_is_an_error(registry):
    registry.fault = lambda _method, _path: 403
    with pytest.raises(EngineError, match="403"):
        read(registry)
