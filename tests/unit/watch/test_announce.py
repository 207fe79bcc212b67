"""Announces what has to be done, once for each change, and stops when it is asked to."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, PlanError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch import announce
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.announce import Announcer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.settings import make_settings
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.signs import ChangeSigns
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import Survey, WorkKind, WorkNeed

pytestmark = pytest.mark.once

OLD, NEW = {"wordpress": "sha256:1"}, {"wordpress": "sha256:2"}


def need(subject, *reasons, **more):
    return WorkNeed(WorkKind.DEPLOY, "shop", subject, reasons, **more)


def survey(folder, *needs, **settings):
    values = {"watch_deploy": True, "watch_interval": 1.0, "watch_listen": "", **settings}
    return Survey(make_settings(values, folder), list(needs))


@pytest.fixture
def announced(tmp_path, monkeypatch):
    """A function that answers comparisons in turn, and returns what was announced until the last one was made."""
    monkeypatch.setattr(announce, "_RETRY_SECONDS", 0.0)

    def announced(*answers, repeat=0.0):
        remaining, said, found = list(answers), [], []
        announcer = None

        def ask(_arguments, _say, _is_unwanted):
            answer = remaining.pop(0)
            if isinstance(answer, Exception):
                raise answer
            if not remaining:
                announcer.stop()
            return survey(tmp_path, *answer)

        announcer = Announcer([], said.append, repeat=repeat, ask=ask)
        monkeypatch.setattr(ChangeSigns, "wait", lambda *_arguments: None)
        announcer.announce(found.append)
        return found, said

    return announced


def test_a_difference_is_announced_once(announced):
    found, _said = announced([need(NEW, "differs")], [need(NEW, "differs")], [])
    assert found == [need(NEW, "differs")]


def test_a_new_digest_is_announced(announced):
    found, _said = announced([need(OLD, "differs")], [need(NEW, "differs")], [])
    assert [each.subject for each in found] == [OLD, NEW]


def test_nothing_is_announced_without_a_difference(announced):
    assert announced([need(NEW)], [])[0] == []


def test_what_was_done_and_undone_is_announced_again(announced):
    found, _said = announced([need(NEW, "differs")], [need(NEW)], [need(NEW, "differs")], [])
    assert len(found) == 2


def test_what_could_not_be_compared_is_not_announced_again(announced):
    found, _said = announced([need(NEW, "differs")], [], [need(NEW, "differs")], [])
    assert len(found) == 1


@pytest.mark.parametrize("reason", [{"rejected": "it was rolled back"}, {"busy": True}])
def test_what_must_not_begin_is_not_announced(announced, reason):
    assert announced([need(NEW, "differs", **reason)], [])[0] == []


def test_a_difference_is_announced_again_after_a_time(announced):
    found, _said = announced([need(NEW, "differs")], [need(NEW, "differs")], [], repeat=1e-9)
    assert len(found) == 2


def test_the_first_comparison_must_succeed(announced):
    with pytest.raises(ChainError, match="wrong"):
        announced(ChainError("wrong"))


def test_later_comparisons_are_repeated_and_a_failure_is_told_once(announced):
    failure = PlanError("Ansible failed")
    found, said = announced([], failure, failure, [need(NEW, "differs")], [])
    assert [each.subject for each in found] == [NEW]
    assert said == ["cannot compare: Ansible failed"]


def test_it_stops_while_it_waits(tmp_path):
    announcer = Announcer([], print, repeat=0, ask=lambda *_arguments: survey(tmp_path, watch_interval=3600.0))
    thread = threading.Thread(target=announcer.announce, args=(print,))
    thread.start()
    announcer.stop()
    thread.join(timeout=20)
    assert not thread.is_alive()


def test_a_token_is_required_for_notifications(tmp_path):
    answer = survey(tmp_path, watch_listen="127.0.0.1:0", watch_notification_token_file="token")
    announcer = Announcer([], print, repeat=0, ask=lambda *_arguments: answer)
    with pytest.raises(ChainError, match="token, which has no token; expected a file with at least 16 characters"):
        announcer.announce(print)
