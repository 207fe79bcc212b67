"""The complete reason of a failure, for any task."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import BuildRecord, write_build
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import (
    TaskFailure,
    error_lines,
    give_up,
    hints,
    last_failed_task,
    note_failed_task,
    shown_failure,
)


@pytest.fixture
def journal(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Journal.begin("demo")


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        ({"msg": "no"}, ["no"]),
        ({"reason": "Could not find or access 'x'"}, ["Could not find or access 'x'"]),
        ({}, ["failed"]),
        ({"censored": "hidden", "msg": "secret"}, ["its message is hidden by no_log"]),
        (
            {"msg": "non-zero return code", "rc": 3, "cmd": ["sh", "-c", "a b"], "stderr": "\x1b[31mred\nline"},
            ["non-zero return code", "command: sh -c 'a b'", "exit status: 3", "stderr:", r"  \x1b[31mred", "  line"],
        ),
        (
            {"msg": "MODULE FAILURE", "module_stderr": "no user 'admin'"},
            ["MODULE FAILURE", "stderr:", "  no user 'admin'"],
        ),
        ({"msg": "said: oh", "stdout": "oh"}, ["said: oh"]),
        (
            {"msg": "x", "results": [{"item": "a"}, {"item": "b", "failed": True, "msg": "no b"}]},
            ["no b (item b)"],
        ),
        ({"msg": "apt failed", "results": ["a text"]}, ["apt failed"]),
        (
            {"results": [{"failed": True, "censored": "hidden", "item": "secret"}]},
            ["its message is hidden by no_log"],
        ),
    ],
)
def test_the_message_of_a_failed_task_is_printed_completely(result, lines):
    assert error_lines(result) == lines


def test_long_outputs_and_loops_are_shortened():
    lines = error_lines({"msg": "x", "stdout": "\n".join(map(str, range(100)))})
    assert lines[1] == "stdout: (the last 20 lines)"
    assert lines[-1] == "  99"
    assert len(lines) == 22
    loop = error_lines({"results": [{"failed": True, "msg": "no", "item": number} for number in range(9)]})
    assert loop[-1] == "and 4 more items"


def test_the_last_failure_is_the_reason(journal):
    note_failed_task(journal, "web", TaskFailure("Try", "web/tasks/main.yml:1", ["rescued"]))
    note_failed_task(journal, "web", TaskFailure("Include", "web/tasks/main.yml:9", ["no file", "more"]))
    give_up(journal, "web", last_failed_task(journal, "web"))
    assert journal.outcome("web").reason == "task 'Include': no file"
    assert shown_failure(journal, "web") == ["task 'Include' (web/tasks/main.yml:9)", "  no file", "  more"]


def test_the_message_contains_a_command_to_inspect_the_parent_image(journal):
    write_build(journal, "web", BuildRecord("1", "2", "p", 5, f"sha256:{'ab' * 32}"))
    give_up(journal, "web", TaskFailure("Break", "", ["no"]))
    assert (
        shown_failure(journal, "web")[-1] == "  docker run --rm --interactive --tty --entrypoint /bin/sh abababababab"
    )


def test_messages_of_the_product_are_printed_unchanged_and_the_first_reason_is_final(journal):
    give_up(journal, "web", TaskFailure("Seal the layer", "", ["tier 'web': refused", "/x"]))
    give_up(journal, "web", TaskFailure("Other", "", ["later"]))
    assert journal.outcome("web").reason == "tier 'web': refused"
    assert shown_failure(journal, "web") == ["tier 'web': refused", "/x"]


@pytest.mark.parametrize(
    ("message", "variable"),
    [
        ("'ansible_processor_count' is undefined", "tier_gather_subset"),
        ("object of type 'dict' has no attribute 'processor_vcpus'", "tier_gather_subset"),
        ("'ansible_memtotal_mb' is undefined. 'ansible_memtotal_mb' is undefined", "tier_gather_subset"),
        ("No package matching 'redis-server' is available", "tier_before"),
        ("E: Unable to locate package x", "tier_before"),
        ("No start of json char found", "ansible_user: root"),
        ("the build container has no user 'admin', which ansible_user", "ansible_user: root"),
        ("Unable to find any of pip3 to use.  pip needs to be installed.", "python3-pip"),
        ("No module named 'packaging'", "python3-packaging"),
        ("Could not resolve host: deb.debian.org", "tier_proxy"),
        ("Temporary failure resolving 'deb.debian.org'", "tier_proxy"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "tier_before"),
    ],
)
def test_failures_of_roles_for_whole_machines_have_a_hint(message, variable):
    (hint,) = hints(message)
    assert variable in hint
    assert any(line.startswith("hint: ") for line in TaskFailure("x", "", [message]).lines)


@pytest.mark.parametrize("message", ["non-zero return code", "'web_port' is undefined", "has no attribute 'port'"])
def test_other_failures_have_no_hint(message):
    assert not list(hints(message))
