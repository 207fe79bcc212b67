"""Whatever a role does, or somebody to its processes: its tier comes to an end that is told; others are built."""

from __future__ import annotations

import re

import pytest

from .conftest import Run, SmallChain

pytestmark = pytest.mark.once

GOOD = "- ansible.builtin.copy: {content: '', dest: /etc/good, mode: '0644'}\n"
LEAVES = "- ansible.builtin.meta: {}\n"
NOTHING_WAITS_HERE = "- ansible.builtin.wait_for: {timeout: 3}\n  delegate_to: localhost\n"

#: What a role's tasks are, and a part of the reason that its tier is given up for.
WAYS = {
    "kills-its-process": ("- ansible.builtin.debug: {msg: \"{{ lookup('pipe', 'kill -9 $PPID') }}\"}\n", "SIGKILL"),
    "ends-the-host": (LEAVES.format("end_host"), "meta: end_host ends the play for its host"),
    "asks-an-odd-question": (
        "- ansible.builtin.meta: clear_facts\n  when: no_such_variable\n",
        "'no_such_variable' is undefined",
    ),
    "pauses": ("- ansible.builtin.pause: {seconds: 1}\n", "waits for somebody at a terminal"),
    "notifies-nobody": (
        "- ansible.builtin.command: 'true'\n  changed_when: true\n  notify: nobody\n",
        "The requested handler 'nobody' was not found",
    ),
    "includes-the-unknown": ("- ansible.builtin.include_tasks: more.yml\n", "no_such_module"),
}

WAITED_FOR = ("kills-its-process", "ends-the-host")


@pytest.fixture
def chain(small_chain: SmallChain) -> SmallChain:
    small_chain.tier("good", NOTHING_WAITS_HERE + GOOD, parent="base")
    for name, (tasks, _reason) in WAYS.items():
        small_chain.tier(name, tasks, parent="base")
    for name in WAITED_FOR:
        small_chain.tier(f"on-{name}", role="good", parent=name)
    more = small_chain.folder / "roles/includes_the_unknown/tasks/more.yml"
    more.write_text("- no_such_module: {}\n")
    return small_chain


def test_a_role_that_would_end_the_run_ends_its_own_branch_only(chain):
    done = chain.build().expect(2)
    table = result_by_tier(done)
    assert table["good"] == "built"
    assert chain.released("good")
    for name, (_tasks, reason) in WAYS.items():
        assert reason in done.message, (name, done.output)
        assert not chain.released(name)
    for name in WAITED_FOR:
        assert table[f"on-{name}"] == f"not built: its parent {name!r} failed"


def result_by_tier(done: Run) -> dict[str, str]:
    """The last column of the table, by the first."""
    head, _, rows = done.output.partition("\nTIER ")[2].partition("\n")
    begin = f"TIER {head}".index("RESULT")
    return {row.split()[0]: row[begin:] for row in rows.splitlines() if re.match(r"\S+ +\S", row)}
