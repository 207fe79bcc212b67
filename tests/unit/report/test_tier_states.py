"""The state of a tier in a report, and its reasons."""

from __future__ import annotations

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.tier_state import judge
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import (
    Ended,
    FailedTestRecord,
    Followed,
    Standing,
    Wanted,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import Document

PARENT = Document("sha256:1", (), ("a",), (), {}, 0, "")
IMAGE = Document("sha256:2", (), ("a", "b"), (), {}, 0, "")


def standing_of(result=None, *, reason="", image="sha256:2", failures=(), action=None, reasons=()):
    when = "2026-01-01T00:00:00+00:00"
    ended = Ended(when, "r", "build", result, reason, image, len(failures), list(failures)) if result else None
    wanted = Wanted("2026-01-02T00:00:00+00:00", action, list(reasons)) if action else None
    return Standing("web", "team", "base", "web:latest", wanted, ended)


@pytest.mark.parametrize(
    ("standing", "image", "state", "reasons"),
    [
        (None, IMAGE, "", []),
        (standing_of("built"), IMAGE, "", []),
        (standing_of("kept", action="keep", reasons=["nothing changed"]), IMAGE, "", []),
        (None, None, "no image", ["it has no image here"]),
        (standing_of(action="build", reasons=["new"]), None, "no image", ["new"]),
        (standing_of("kept", action="build", reasons=["x changed"]), IMAGE, "stale", ["x changed"]),
        (standing_of("failed", reason="task: no", image=None), IMAGE, "failed", ["task: no"]),
        (standing_of("failed", reason="task: no", image=None), None, "failed", ["task: no"]),
        (standing_of("not reached", image=None), IMAGE, "not reached", []),
        (
            standing_of(
                "failed", failures=[FailedTestRecord("t::a", "ops", "no"), FailedTestRecord(None, None, "no file")]
            ),
            IMAGE,
            "failed",
            ["t::a (team ops): no", "all tests: no file"],
        ),
    ],
)
def test_states(standing, image, state, reasons):
    assert judge(standing, image, PARENT, "base") == (state, reasons)


def test_a_tier_on_an_old_image_of_its_parent_is_stale():
    old_image = msgspec.structs.replace(IMAGE, layers=("z", "b"))
    assert judge(None, old_image, PARENT, "base") == (
        "stale",
        ["it is based on an image of base that is not the one in use"],
    )
    assert judge(None, old_image, None, None) == ("", [])


def test_a_build_that_is_not_released_makes_a_tier_stale():
    state, [reason] = judge(standing_of("built", image="sha256:9"), IMAGE, PARENT, "base")
    assert state == "stale"
    assert reason.startswith("its last build is not released")
    assert judge(standing_of("built"), None, PARENT, "base") == ("no image", [reason])


def test_a_followed_tier_is_stale_until_its_locked_image_is_in_use():
    followed = Standing(
        "web", "dev", None, "web:latest", follows=Followed("r.example.org/web:stable", "sha256:m", IMAGE.id)
    )
    assert judge(followed, IMAGE, None, None) == ("", [])
    newer = msgspec.structs.replace(followed, follows=msgspec.structs.replace(followed.follows, image="sha256:newer"))
    state, [reason] = judge(newer, IMAGE, None, None)
    assert (state, reason) == ("stale", "the lock file names a different image than the one in use")
