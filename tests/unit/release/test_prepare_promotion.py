"""Images are signed and then checked before they are released; the user learns what was not signed."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import ImageIdentity
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.sign_records import SignedImages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release import prepare_promotion as module
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.prepare_promotion import prepare_promotion
from fake_engine import FakeEngine

pytestmark = pytest.mark.once


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    engine = FakeEngine()
    for name in ("core", "php"):
        engine.add(f"sha256:{name}", {"a": name})
    return engine


@pytest.fixture
def signed(monkeypatch):
    """The images that were signed, and what signing them returns."""
    calls = []

    def sign(_engine, images, read_signer, **_options):
        calls.append((dict(images), read_signer("core")))
        return SignedImages({"core": 2, "php": 0}, {"db": "tier 'db' is not signed: nothing was recorded"})

    monkeypatch.setattr(module, "sign_images", sign)
    return calls


IMAGES = {"core": "sha256:core", "php": "sha256:php"}


def test_images_are_signed_and_those_that_move_are_checked(engine, signed):
    lines, checked = [], []
    prepare_promotion(engine, IMAGES, {"php"}, lambda tier: f"key of {tier}", check=checked.append, say=lines.append)
    assert signed == [(IMAGES, "key of core")]
    assert checked == [[ImageIdentity("sha256:php", None, (), {"a": "php"}, "php")]]
    assert lines == [
        "core: signed 2 statements about sha256:core",
        "tier 'db' is not signed: nothing was recorded",
    ]


def test_a_check_can_reject_the_promotion_after_the_images_were_signed(engine, signed):
    def check(_images):
        raise TrustError("no")

    with pytest.raises(TrustError, match="no"):
        prepare_promotion(engine, IMAGES, IMAGES, lambda _tier: None, check=check, say=print)
    assert len(signed) == 1


@pytest.mark.parametrize(("check", "moving"), [(None, IMAGES), (pytest.fail, ())])
def test_nothing_is_checked_without_a_check_or_if_nothing_moves(engine, signed, check, moving):
    prepare_promotion(engine, IMAGES, moving, lambda _tier: None, check=check, say=print)
    assert len(signed) == 1
