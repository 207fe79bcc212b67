"""What happens to an image after its tests, and the report about an image that fails them."""

from __future__ import annotations

import json
import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import FailedTest, Verdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import RoleTests, Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContractError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import read_tested
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build import image_tests
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import propose
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import shown_failure
from fake_engine import FakeEngine


class World:
    """A run over a released chain that builds `web` and then `app`. `app` is tested with `db`."""

    def __init__(self, make_tier, make_image, folder):
        self.chain = Chain(
            [
                make_tier("base"),
                make_tier("web", "base"),
                make_tier("db", "base"),
                make_tier("app", "web", neighbours=("db",)),
            ]
        )
        self.engine, self.make_image = FakeEngine(), make_image
        self.journal = Journal.begin("demo")
        (folder / "test_it.py").write_text("def test_it(): pass\n")
        self.owner = RoleTests("web", "operations", str(folder))
        self.suite = Suite(None, (self.owner,))
        for tier in self.chain:
            self.image(f"sha256:{tier.name}-old", tier.name, role="old")
            self.engine.world.names[tier.release] = f"sha256:{tier.name}-old"
        self.plan("base", Action.KEEP)
        self.plan("db", Action.KEEP)
        self.plan("web", Action.BUILD)
        self.plan("app", Action.BUILD)

    def image(self, identifier, tier, parent="", **parts):
        key_parts = {**parts, **({"parent": parent} if parent else {})}
        image_labels = labels.identity("demo", self.chain[tier], key_parts, "debian")
        self.engine.add(identifier, image_labels)
        return self.make_image(identifier, image_labels)

    def plan(self, tier, action, **more):
        image = None if action is Action.BUILD else f"sha256:{tier}-old"
        parent = self.chain[tier].parent
        parts = {"parent": f"sha256:{parent}-old"} if parent else {}
        write_plan(
            self.journal, "demo", Decision(self.chain[tier], action, (), image, parts, **more), None, tests=self.suite
        )

    def build(self, tier, parent):
        propose(self.engine, self.journal, self.chain[tier], self.image(f"sha256:{tier}-new", tier, parent, role="new"))

    def run_gate(self, tier, **more):
        return image_tests.run_gate(self.engine, self.journal, tier, 5, **more)

    def names(self, image):
        return {name for name, image_id in self.engine.world.names.items() if image_id == image}


@pytest.fixture
def world(make_tier, make_image, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "tests").mkdir()
    return World(make_tier, make_image, tmp_path / "tests")


@pytest.fixture
def judge(monkeypatch):
    """Replace the tests by these failures. The returned list collects the benches that they ran on."""
    benches = []

    def judge(*failed):
        def fake_run(_suite, bench, _timeout):
            benches.append(bench)
            return Verdict(30, 1.5, failed)

        monkeypatch.setattr(image_tests, "run_suite", fake_run)
        return benches

    return judge


def test_an_image_that_passed_gets_its_content_tag_and_a_tag_for_the_tests(world, judge):
    benches = judge()
    world.build("web", "sha256:base-old")
    assert world.run_gate("web").tests == 30
    assert world.journal.outcome("web").image == "sha256:web-new"
    assert json.loads((world.journal.folder / "web.tested.json").read_text()) == {
        "image": "sha256:web-new", "passed": True, "seconds": 1.5, "tests": 30, "failed": [], "ran": []
    }  # fmt: skip
    forms = sorted(name.partition(":")[2].partition("-")[0] for name in world.names("sha256:web-new"))
    assert forms == ["key", "tested"]
    assert benches[0].neighbours == {}
    # With the same image and tests, nothing is run again.
    assert world.run_gate("web") is None
    assert len(benches) == 1


def test_a_tier_passes_only_after_its_parent(world, judge):
    judge()
    world.build("web", "sha256:base-old")
    world.build("app", "sha256:web-new")
    threading.Timer(0.3, world.run_gate, ("web",)).start()
    world.run_gate("app")
    assert world.journal.moment("outcome", "web") < world.journal.moment("outcome", "app")


@pytest.mark.parametrize("failed", [(), (FailedTest("test_it", None, "a message", ""),)])
def test_a_result_on_a_parent_that_failed_does_not_count(world, judge, failed):
    judge(*failed)
    world.build("web", "sha256:base-old")
    world.build("app", "sha256:web-new")
    world.journal.failed("web", "its tests fail")
    with pytest.raises(RunError, match=r"^tier 'app' is not built: its parent 'web' failed$"):
        world.run_gate("app")
    assert read_tested(world.journal, "app") is None
    assert not any(
        name.partition(":")[2].startswith(("key-", "tested-", "failed-")) for name in world.names("sha256:app-new")
    )


def test_a_result_that_will_be_signed_must_have_been_noted_here(world, judge, monkeypatch):
    benches = judge()
    world.build("web", "sha256:base-old")
    monkeypatch.setattr(image_tests, "noted_gate", lambda _records, _config: None)
    world.run_gate("web")
    assert world.run_gate("web") is None
    assert world.run_gate("web", is_signed=True).tests == 30
    monkeypatch.setattr(image_tests, "noted_gate", lambda _records, _config: "a note")
    assert world.run_gate("web", is_signed=True) is None
    assert len(benches) == 2


def test_tags_of_earlier_test_results_are_removed(world, judge):
    judge()
    world.build("web", "sha256:base-old")
    world.engine.world.names |= {
        f"web:{tags.tested('0' * 12, '0' * 12)}": "sha256:web-new",
        "web:failed-0000000000000000": "sha256:web-new",
        "web:mine": "sha256:web-new",
    }
    world.run_gate("web")
    assert {name.partition(":")[2].partition("-")[0] for name in world.names("sha256:web-new")} == {
        "key",
        "tested",
        "mine",
    }


@pytest.mark.parametrize(
    ("outcome", "expected"), [("sha256:db-new", "sha256:db-new"), (None, "sha256:db-old"), ("", "sha256:db-old")]
)
def test_a_neighbour_is_its_image_from_the_run_or_else_its_release(world, judge, outcome, expected):
    benches = judge()
    if outcome != "":
        world.plan("db", Action.BUILD)
        world.journal.write("outcome", "db", {"image": outcome, "reason": ""})
    world.journal.passed("web", "sha256:web-old")
    world.build("app", "sha256:web-old")
    world.run_gate("app")
    assert benches[0].neighbours == {"db": expected}


def test_the_gate_waits_for_a_kept_neighbour_that_is_tested(world, judge):
    benches = judge()
    world.plan("db", Action.KEEP, untested=("why",))
    world.journal.failed("db", "it does not pass")
    world.journal.passed("web", "sha256:web-old")
    world.build("app", "sha256:web-old")
    world.run_gate("app")
    assert benches[0].neighbours == {"db": "sha256:db-old"}


def test_the_report_of_a_failure_names_the_owner_of_the_test_and_possible_causes(world, judge, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    test = f"{world.owner.folder}/test_it.py::test_it[a b]"
    judge(
        FailedTest(test, world.owner, "AssertionError: no\nsecond line", "log of web:\nlast words"),
        *(FailedTest(f"{test}{number}", world.owner, f"no {number}\nmore", "") for number in range(6)),
    )
    world.build("web", "sha256:base-old")
    world.journal.passed("web", "sha256:web-new")
    world.build("app", "sha256:web-new")
    with pytest.raises(ContractError) as error:
        world.run_gate("app")
    key = content_tag(digest_key({"role": "new", "parent": "sha256:web-new"}))
    reference = f"app:{tags.failed(key)}"
    owner = "(of tier 'web', team operations)"
    assert shown_failure(world.journal, "app") == [
        f"tier 'app' is rejected: 7 of 30 tests fail, first tests/test_it.py::test_it[a b] {owner}",
        "  AssertionError: no",
        "  second line",
        "  log of web:",
        "  last words",
        *(f"also tests/test_it.py::test_it[a b]{number} {owner}: no {number}" for number in range(4)),
        "and 2 more",
        "possible causes, changed since the last release:",
        "  app: role changed",
        "  web: role changed",
        "to look at the image:",
        f"  docker run --rm --interactive --tty --entrypoint /bin/sh {reference}",
        "to run only this test:",
        f"  pytest 'tests/test_it.py::test_it[a b]' --tier app --image {reference} --neighbour db=db:latest",
    ]
    assert world.names("sha256:app-new") == {reference}
    assert world.journal.outcome("app").image is None
    assert world.journal.outcome("app").reason == str(error.value) == "tier 'app' is rejected: 7 of 30 tests fail"
    tested = read_tested(world.journal, "app")
    assert not tested.passed
    first = tested.failed[0]
    assert (first.test, first.owner, first.tier) == ("tests/test_it.py::test_it[a b]", "operations", "web")
    assert first.log == "log of web:\nlast words"


def test_a_kept_image_that_fails_keeps_its_names(world, judge):
    judge(FailedTest("", None, "no", ""))
    world.plan("web", Action.KEEP, untested=("why",))
    with pytest.raises(ContractError):
        world.run_gate("web")
    lines = shown_failure(world.journal, "web")
    assert "  no image changed: the cause is in the tests, or in the machine that they ran on" in lines
    assert lines[-1] == "  pytest --tier web --image web:latest"
    assert world.names("sha256:web-old") == {"web:latest", f"web:building-{world.journal.run}"}


def test_the_report_says_that_a_tier_was_never_released(world, judge):
    judge(FailedTest("", None, "no", ""))
    del world.engine.world.names["web:latest"]
    world.build("web", "sha256:base-old")
    with pytest.raises(ContractError):
        world.run_gate("web")
    assert "  web: it was never released" in shown_failure(world.journal, "web")


def test_a_tier_without_tests_passes(world, judge):
    benches = judge()
    world.suite = Suite()
    world.plan("web", Action.BUILD)
    world.build("web", "sha256:base-old")
    assert world.run_gate("web") is None
    assert world.journal.outcome("web").image == "sha256:web-new"
    assert benches == []


def test_an_image_that_failed_before_gets_its_content_tag_when_it_passes(world, judge):
    judge()
    world.engine.world.names["web:failed-0000000000000000"] = "sha256:web-old"
    world.plan("web", Action.KEEP, untested=("it failed its tests before",))
    world.run_gate("web")
    assert f"web:{content_tag(digest_key({'role': 'old'}))}" in world.names("sha256:web-old")


def test_a_tier_without_an_image_to_test_is_an_error(world, judge):
    judge()
    with pytest.raises(RunError, match="tier 'web' has no image to test in run"):
        world.run_gate("web")
