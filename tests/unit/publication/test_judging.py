"""What tiers say about candidates: yes or no only if the run proves it, and never a secret."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_file import (
    LockedAncestor,
    LockedTier,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tried_images import find_candidates
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tried_record import is_trial, note_tried
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.verdicts import read_verdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.judging import (
    judge,
    passed_images,
    verdicts,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.tell_verdict import tell_verdicts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import (
    GateRecord,
    RejectedTest,
    note_disturbance,
    write_tested,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import (
    TaskFailure,
    note_failed_task,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_client import RegistryClient
from fake_registry import digest, fake_registry

HOST = "registry.example.org"
TEST = RejectedTest("test_it.py::test_php", "development", "app", "no PHP with hunter2", "the log with hunter2")
#: core and db are followed; mid and app are based on core, and app is tested with data, which is based on db.
PARENTS = {"core": None, "db": None, "alone": None, "mid": "core", "data": "db", "app": "mid"}
FOLLOWED = ("core", "db")


class Run:
    """A run over the chain that tries candidates."""

    def __init__(self, host=HOST):
        self.host = host
        self.journal = Journal.begin("demo")
        self.planned = {}
        self.images = {}

    def tier(self, name, **changes):
        image = f"{self.host}/dev/{name}"
        if PARENTS[name] is None:
            return Tier(name, "operations", f"here/{name}", "latest", source=Follow(image, "stable"))
        neighbours = ("data",) if name == "app" else ()
        values = {"parent": PARENTS[name], "role": name, "neighbours": neighbours}
        return Tier(name, "development", changes.get("image", image), "latest", **values)

    def plan(self, *, untested=(), **actions):
        """Plan actions; by default, followed tiers are kept and the others built."""
        for name, parent in PARENTS.items():
            default = "keep" if parent is None else "build"
            action = Action(actions.get(name, default))
            image = None if action is Action.BUILD else f"sha256:{name}"
            decision = Decision(self.tier(name), action, (), image, {}, untested=("why",) if name in untested else ())
            write_plan(self.journal, "demo", decision, None)
            if image:
                self.images[image] = f"sha256:{parent}"

    def tries(self, *names, ancestors=()):
        candidates = {name: locked(name, f"new {name}", self.host, ancestors) for name in names}
        note_tried(self.journal, candidates, {name: locked(name, f"old {name}", self.host) for name in names})

    def passes(self, *names, parent=None):
        for name in names:
            self.journal.passed(name, f"sha256:{name}")
            self.images[f"sha256:{name}"] = parent or f"sha256:{PARENTS[name]}"

    def fails(self, name, reason, *tests):
        if tests:
            write_tested(self.journal, name, GateRecord(f"sha256:{name}", False, 1.0, 3, (), tests))  # noqa: FBT003
        self.journal.failed(name, reason)

    def judge(self):
        return judge(self.journal, self.images.get)

    def answers(self):
        return {name: str(judgement.answer) for name, judgement in self.judge().items()}


def locked(name, content, host, ancestors=()):
    image = f"{host}/ops/{name}"
    found = [LockedAncestor(each, "operations", f"{host}/ops/{each}", digest(each.encode()), "") for each in ancestors]
    return LockedTier(
        image, "candidate", digest(content.encode()), "sha256:x", name, "operations", "ops", None, tuple(found)
    )


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())


@pytest.fixture
def run():
    run = Run()
    run.plan()
    return run


def test_tiers_say_yes_if_they_passed_upon_the_candidate(run):
    run.tries("core")
    assert is_trial(run.journal)
    run.passes("mid", "data", "app")
    judgements = run.judge()
    assert {name: str(each.answer) for name, each in judgements.items()} == {"mid": "yes", "app": "yes"}
    assert passed_images(run.journal, judgements) == {"mid": "sha256:mid", "app": "sha256:app"}
    (_mid, verdict), _app = verdicts(run.journal, judgements)
    assert (verdict.image, verdict.digest) == (f"{HOST}/ops/core", digest(b"new core"))
    assert (verdict.tier, verdict.team, verdict.passed, verdict.problem) == ("mid", "development", True, "")


def test_an_ordinary_run_says_nothing(run):
    run.passes("mid", "data", "app")
    assert (is_trial(run.journal), run.answers()) == (False, {})


def test_a_failed_test_is_a_no_and_the_children_say_no_too(run):
    run.tries("core")
    run.passes("data")
    run.fails("mid", "tier 'mid' is rejected: 1 of 3 tests fail", TEST)
    run.fails("app", "tier 'app' is not built: its parent 'mid' failed")
    judgements = run.judge()
    assert {name: str(each.answer) for name, each in judgements.items()} == {"mid": "no", "app": "no"}
    assert judgements["mid"].failed == judgements["app"].failed == (TEST,)
    assert judgements["app"].reason == (
        "it is based on tier 'mid', which says no: tier 'mid' is rejected: 1 of 3 tests fail"
    )
    assert passed_images(run.journal, judgements) == {}


def test_a_parent_that_passed_is_offered_even_if_a_child_failed(run):
    run.tries("core")
    run.passes("mid", "data")
    run.fails("app", "rejected", TEST)
    assert run.answers() == {"mid": "yes", "app": "no"}
    assert passed_images(run.journal, run.judge()) == {"mid": "sha256:mid"}


def test_a_failed_role_is_a_no_with_the_output_of_its_task(run):
    run.tries("core")
    run.passes("data")
    note_failed_task(run.journal, "mid", TaskFailure("Install", "", ["no package php", "stderr:", "  sorry"]))
    run.fails("mid", "task 'Install': no package php")
    assert run.judge()["mid"].reason == "task 'Install': no package php\nstderr:\n  sorry"


def test_what_has_no_end_gives_no_verdict(run):
    run.tries("core")
    run.passes("data", "mid")
    assert run.answers() == {"mid": "yes", "app": "nothing"}
    assert run.judge()["app"].reason == "the run ended before the tier was finished"


@pytest.mark.parametrize("tests", [(), (TEST,)])
def test_a_disturbed_build_gives_no_verdict_and_neither_do_its_children(run, tests):
    run.tries("core")
    run.passes("data")
    note_disturbance(run.journal, "mid", "no container engine answers")
    run.fails("mid", "no container engine answers", *tests)
    run.fails("app", "tier 'app' is not built: its parent 'mid' failed")
    assert run.answers() == {"mid": "nothing", "app": "nothing"}
    assert list(verdicts(run.journal, run.judge())) == []
    assert "no container engine answers" in run.judge()["app"].reason


def test_a_tier_that_is_tested_with_a_candidate_judges_it(run):
    run.tries("db")
    run.passes("mid", "data", "app")
    judgements = run.judge()
    assert [each.tier for _judgement, each in verdicts(run.journal, judgements)] == ["data", "app"]
    assert passed_images(run.journal, judgements) == {"data": "sha256:data"}  # app has no layer of the candidate


def test_a_failed_neighbour_is_a_no_although_the_tests_used_its_released_image(run):
    run.tries("db")
    run.passes("mid", "app")
    run.fails("data", "rejected", TEST)
    assert run.answers() == {"data": "no", "app": "no"}


def test_two_candidates_are_judged_by_those_that_depend_on_them(run):
    run.tries("core", "db")
    run.passes("mid", "data")
    run.fails("app", "rejected", TEST)
    told = {
        (each.tier, each.image.rpartition("/")[2]): each.passed
        for _judgement, each in verdicts(run.journal, run.judge())
    }
    assert told == {("mid", "core"): True, ("data", "db"): True, ("app", "core"): False, ("app", "db"): False}


def test_kept_tiers_say_yes_if_their_image_was_built_on_the_candidate():
    run = Run()
    run.plan(mid="keep", app="keep", data="keep", untested=["app"])
    run.tries("core")
    run.passes("app")
    assert run.answers() == {"mid": "yes", "app": "yes"}
    run.images["sha256:mid"] = "sha256:older core"  # it was withdrawn by a rollback, so an earlier image is kept
    assert run.answers() == {"mid": "nothing", "app": "nothing"}
    assert "built on a different image" in run.judge()["mid"].reason
    assert passed_images(run.journal, run.judge()) == {}


def test_tiers_outside_of_the_limit_say_nothing_and_those_above_them_neither():
    run = Run()
    run.plan(mid="leave", data="leave")
    run.tries("core")
    run.passes("app")
    assert run.answers() == {"app": "nothing"}
    assert run.judge()["app"].reason == "--limit excludes tier 'mid', which it needs"


def test_ancestors_that_are_new_get_verdicts_too(run):
    old = {"core": locked("core", "old", HOST, ["base"])}
    note_tried(run.journal, {"core": locked("core", "new", HOST, ["root", "base"])}, old)
    run.passes("mid", "data", "app")
    images = {each.image for _judgement, each in verdicts(run.journal, run.judge())}
    assert images == {f"{HOST}/ops/core", f"{HOST}/ops/root"}


def test_verdicts_are_written_without_secrets_to_the_repository_of_each_tier():
    lines = []
    with fake_registry() as registry:
        run = Run(registry.host)
        run.plan()
        run.tries("core")
        run.passes("mid", "data")
        run.fails("app", "rejected with hunter2", TEST)
        registries = Registries()

        def mask(text):
            return text.replace("hunter2", "***")

        told = tell_verdicts(run.journal, run.judge(), registries.writer, mask, lines.append)
        assert [(each.tier, each.passed) for each in told] == [("mid", True), ("app", False)]
        tried = f"{registry.host}/ops/core@{digest(b'new core')}"
        assert lines == [f"mid says yes to {tried}", f"app says no to {tried}"]
        assert not any(b"hunter2" in content for content in registry.blobs.values())
        found = read_verdict(RegistryClient(registry.host), "dev/app", digest(b"new core"))
        assert (found.passed, found.problem, found.failed[0].message) == (False, "rejected with ***", "no PHP with ***")
        assert {repository for repository, _tag in registry.tags} == {"dev/mid", "dev/app"}


def test_a_tier_without_a_registry_says_it_only_here(run):
    run.tries("core")
    run.passes("data")
    lines = []
    local = run.tier("mid", image="local/mid")
    write_plan(run.journal, "demo", Decision(local, Action.BUILD, (), None, {}), None)
    run.passes("mid", "app")
    write_plan(run.journal, "demo", Decision(run.tier("app"), Action.LEAVE, (), None, {}), None)
    told = tell_verdicts(run.journal, run.judge(), pytest.fail, str, lines.append)
    assert told == []
    [line] = lines
    assert line.startswith(
        f"mid says yes to {HOST}/ops/core@{digest(b'new core')}, but its tier_image names no registry"
    )


def test_without_followed_tiers_no_registry_is_asked():
    assert find_candidates(pytest.fail, [], {}) == {}
