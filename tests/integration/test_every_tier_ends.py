"""Whatever a role does, and whatever happens to its processes: its tier ends with a reason; others are built."""

from __future__ import annotations

import re

import pytest

from .conftest import Run, SmallChain

pytestmark = pytest.mark.once

GOOD = "- ansible.builtin.copy: {content: '', dest: /etc/good, mode: '0644'}\n"
LEAVES = "- ansible.builtin.meta: {}\n"
SLOW = "- ansible.builtin.wait_for: {timeout: 3}\n  delegate_to: localhost\n"

#: The tasks of a role, and a part of the reason why its tier fails.
FAILURES = {
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

WITH_CHILD = ("kills-its-process", "ends-the-host")


@pytest.fixture
def chain(small_chain: SmallChain) -> SmallChain:
    small_chain.tier("good", SLOW + GOOD, parent="base")
    for name, (tasks, _reason) in FAILURES.items():
        small_chain.tier(name, tasks, parent="base")
    for name in WITH_CHILD:
        small_chain.tier(f"on-{name}", role="good", parent=name)
    more = small_chain.folder / "roles/includes_the_unknown/tasks/more.yml"
    more.write_text("- no_such_module: {}\n")
    return small_chain


def test_a_role_that_would_end_the_run_ends_only_its_branch(chain):
    run = chain.build().expect(2)
    table = result_by_tier(run)
    assert table["good"] == "built"
    assert chain.released("good")
    for name, (_tasks, reason) in FAILURES.items():
        assert reason in run.message, (name, run.output)
        assert not chain.released(name)
    for name in WITH_CHILD:
        assert table[f"on-{name}"] == f"not built: its parent {name!r} failed"


def result_by_tier(run: Run) -> dict[str, str]:
    """The results of the tiers, from the table at the end of the output."""
    head, _, rows = run.output.partition("\nTIER ")[2].partition("\n")
    begin = f"TIER {head}".index("RESULT")
    return {row.split()[0]: row[begin:] for row in rows.splitlines() if re.match(r"\S+ +\S", row)}
