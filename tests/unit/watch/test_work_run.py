"""Work is recorded, and its outcome says whether the same work could end better."""

from __future__ import annotations

import json
import sys
from threading import Event

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import (
    DeployOutcome,
    begin_record,
    end_record,
    note,
    write_record,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import PlanError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan import playbook_answer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.playbook_answer import ask
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run import result
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch import work_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.playbook_run import PlaybookEnd
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import (
    RunOutcome,
    find_run,
    request_cancel,
    run_folder,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.work import WorkDecision, WorkMove
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.work_run import Watched, do_work
from small_site import SITE

pytestmark = pytest.mark.once

WATCHED = Watched(("/srv/site.yml",), ("-i", "/srv/site.yml"))
SUBJECT = {service.name: service.image.config for service in SITE.services}


@pytest.fixture
def work(monkeypatch, make_need):
    """Do work whose playbooks are a function, which may return an end."""

    def do(playbooks, kind=WorkKind.DEPLOY, limit=60.0, began=lambda _run: None, stop=None, **options):
        monkeypatch.setattr(work_run, "run_playbooks", playbooks)
        need = make_need(kind=kind, subject=SUBJECT)
        decision = WorkDecision(need, WorkMove.START, need.reasons)
        run = do_work(decision, WATCHED, limit, stop or Event(), began, **options)
        assert find_run(run.id) == run
        return run.outcome, run.reason

    return do


FAILED = PlaybookEnd(RunOutcome.FAILED, "the task failed")


def deploy(outcome, *, ends=True):
    record = write_record(begin_record(SITE, "swarm"))
    record = note(record, "web", outcome, before=None, reason="not healthy")
    return end_record(record) if ends else record


def test_a_deployment_that_succeeds(work):
    seen = []

    def playbooks(folder, names, arguments, _why_end):
        seen.extend([folder.stat().st_mode & 0o777, *names, *arguments])
        return PlaybookEnd(RunOutcome.SUCCEEDED)

    assert work(playbooks) == (RunOutcome.SUCCEEDED, "")
    assert seen == [0o700, "tierwright.chain.deploy", "-i", "/srv/site.yml"]


def test_a_deployment_that_was_rolled_back_is_rejected(work):
    def playbooks(*_arguments):
        deploy(DeployOutcome.ROLLED_BACK)
        return FAILED

    outcome, reason = work(playbooks)
    assert outcome is RunOutcome.REJECTED
    assert "web was rolled back (not healthy)" in reason


def test_a_deployment_that_could_not_be_done_may_be_repeated(work):
    assert work(lambda *_: FAILED) == (RunOutcome.FAILED, "the task failed")
    assert work(lambda *_: deploy(DeployOutcome.WAITING, ends=False) and FAILED)[0] is RunOutcome.FAILED


def build(*tests, error=None):
    def playbooks(folder, names, arguments, _why_end):
        assert names[-1] in {"tierwright.chain.build_chain", "tierwright.chain.try_candidate"}
        path = json.loads(arguments[-1])["tier_result_file"]
        told = [result.Test(name, state, 1.0, "ops", "web", "", "") for name, state in tests]
        tier = result.TierResult(
            tier="web",
            team="dev",
            action="build",
            result="failed",
            reason="web is rejected",
            image=None,
            names=[],
            release="x",
            released=False,
            size=None,
            tests=told,
            told=[],
        )
        (folder / path).write_text(encode(result.RunResult("shop", "1", "failed", None, None, error, "", tiers=[tier])))
        return FAILED

    return playbooks


@pytest.mark.parametrize("kind", [WorkKind.FOLLOW, WorkKind.TRY])
def test_a_tier_that_fails_its_tests_is_rejected(work, kind):
    assert work(build(("a", "passed"), ("b", "failed")), kind) == (RunOutcome.REJECTED, "web is rejected")


def test_a_tier_that_could_not_be_built_may_be_repeated(work):
    kept = []
    outcome = work(build(("a", "passed")), WorkKind.FOLLOW, began=kept.append)
    assert outcome == (RunOutcome.FAILED, "the task failed")
    assert not (run_folder(kept[0].id) / "result.json").exists()


def test_a_broken_result_file_changes_nothing(work):
    def playbooks(folder, *_arguments):
        (folder / "result.json").write_text("{")
        return FAILED

    assert work(playbooks, WorkKind.FOLLOW) == (RunOutcome.FAILED, "the task failed")


def wait(_folder, _names, _arguments, why_end):
    while True:
        if end := why_end():
            return end


def test_a_run_ends_at_its_time_limit(work):
    moments = iter(range(100))
    outcome = work(wait, limit=5.0, clock=lambda: float(next(moments)))
    assert outcome == (RunOutcome.TIMED_OUT, "it took more than 5 seconds (watch_time_limit)")


def test_a_run_with_endless_output_is_ended(work, monkeypatch):
    monkeypatch.setattr(work_run, "_MOST_OUTPUT", 5)

    def began(run):
        (run_folder(run.id) / "artifacts").mkdir()
        (run_folder(run.id) / "artifacts/stdout").write_text("x" * 6)

    assert work(wait, began=began)[0] is RunOutcome.FAILED


def test_a_run_is_cancelled(work):
    assert work(wait, began=request_cancel) == (RunOutcome.CANCELLED, "a user cancelled it")


def test_a_run_ends_with_its_watcher(work):
    stop = Event()
    outcome = work(wait, began=lambda _run: stop.set(), stop=stop)
    assert outcome == (RunOutcome.INTERRUPTED, "the watcher was stopped")


def test_an_error_of_ansible_runner_is_recorded(work):
    def playbooks(*_arguments):
        raise RunError("ansible-runner failed")

    assert work(playbooks) == (RunOutcome.FAILED, "ansible-runner failed")


def test_a_bug_is_recorded(work):
    kept = []

    def playbooks(*_arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work(playbooks, began=kept.append)
    assert find_run(kept[0].id).outcome is RunOutcome.FAILED


def test_a_comparison_that_does_not_end_has_a_limit(monkeypatch):
    monkeypatch.setattr(playbook_answer, "_PLAYBOOK", (sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(PlanError, match=r"did not end within 0\.1 seconds"):
        ask("x", "y", [], print, seconds=0.1)


def test_a_comparison_that_is_not_wanted_any_more_is_interrupted(monkeypatch, tmp_path):
    program = (
        "import pathlib, sys, time\n"
        "try:\n    pathlib.Path(sys.argv[1], 'began').touch(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    pathlib.Path(sys.argv[1], 'ended').touch()\n"
    )
    monkeypatch.setattr(playbook_answer, "_PLAYBOOK", (sys.executable, "-c", program, str(tmp_path)))
    with pytest.raises(RunError, match="was ended, because its answer is not wanted any more"):
        ask("x", "y", [], print, is_unwanted=(tmp_path / "began").exists)
    assert (tmp_path / "ended").exists()


def test_a_comparison_that_ignores_interruptions_is_killed(monkeypatch, tmp_path):
    program = (
        "import pathlib, signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "pathlib.Path(sys.argv[1], 'began').touch(); time.sleep(60)"
    )
    monkeypatch.setattr(playbook_answer, "_PLAYBOOK", (sys.executable, "-c", program, str(tmp_path)))
    monkeypatch.setattr(playbook_answer, "_GRACE_SECONDS", 0.1)
    with pytest.raises(RunError, match="not wanted"):
        ask("x", "y", [], print, is_unwanted=(tmp_path / "began").exists)
