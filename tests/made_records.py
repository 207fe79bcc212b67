"""Keys, bundles and facts of images for tests."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.repository_source import RepositorySource
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.build_facts import (
    BuildFacts,
    Material,
    ParentImage,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.gate_facts import GateFacts, SuiteFolder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.predicates import TierImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import PublicKey, describe_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject


class KeyInMemory:
    """Signs with a key that exists only in this process, and counts its signatures."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.public_key: PublicKey = describe_key(self._private.public_key(), "a key of this test")
        self.signed = 0

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        self.signed += 1
        return self._private.sign(message)


def made_bundle(key: KeyInMemory, digest: str, predicate_type: str = "https://example.org/test/v1") -> bytes:
    """Return a bundle with a small statement about one digest."""
    return write_bundle(sign_statement(Statement((Subject("", digest),), predicate_type, {}), key), key.public_key)


CONFIG, MANIFEST, LAYER = (f"sha256:{digits * 32}" for digits in ("c0", "a0", "1a"))
PARENT = f"sha256:{'b0' * 32}"
COMMIT = "0123456789abcdef0123456789abcdef01234567"

IMAGE = TierImage("httpd-php", MANIFEST, CONFIG, (LAYER,))

FACTS = BuildFacts(
    chain="shop",
    tier="httpd-php",
    team="middleware",
    role="httpd_php",
    commit=Commit(COMMIT, 1_700_000_000),
    source=RepositorySource("https://git.example.org/mid/roles.git", "main", clean=True),
    parts={"parent": PARENT, "role/tasks/main.yml": "ab" * 16, "team": "middleware"},
    cage={"capabilities": [], "memory": 4 << 30, "pids": 4096},
    ansible_core="2.19.1",
    epoch=1_700_000_000,
    materials=(
        Material("collection", "pkg:ansible/community.general@10.1.0", {"tierwright": "cd" * 16}),
        Material("input", "https://deb.debian.org/debian/dists/bookworm/InRelease", {"tierwright": "ef" * 16}),
    ),
    parent=ParentImage("corebuild", PARENT, f"sha256:{'ee' * 32}"),
    layer=LAYER,
    builder="ci-1",
    version="0.9.0",
    run="20261130T010203Z-0123abcd",
    started="2026-11-30T01:02:03Z",
    finished="2026-11-30T01:02:33Z",
    user="alice",
    machine="ci-1.example.org",
)

GATE = GateFacts(
    tier="httpd-php",
    folders=(
        SuiteFolder("httpd-php", "middleware", "own", "11" * 32),
        SuiteFolder("corebuild", "operations", "contract", "22" * 32, f"registry.example.org/core@{PARENT}"),
    ),
    neighbours={"mariadb": f"sha256:{'db' * 32}"},
    passed=("roles/httpd_php/tests/test_site.py::test_page", "roles/corebuild/tests/test_core.py::test_users"),
    skipped=("roles/httpd_php/tests/test_site.py::test_ipv6",),
    failed=(),
    tested="2026-11-30T01:03:00Z",
    run="20261130T010203Z-0123abcd",
)
