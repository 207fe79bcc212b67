"""Users do not see bare Python exceptions: malformed files and variables lead to readable messages."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import (
    guard_display,
    writes_for_people,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import errors_as_messages

from .world import World


@pytest.fixture
def world(tmp_path):
    (tmp_path / "inventories/shop").mkdir(parents=True)
    (tmp_path / "roles/web/tasks").mkdir(parents=True)
    (tmp_path / "roles/web/meta").mkdir()
    (tmp_path / "roles/web/defaults").mkdir()
    (tmp_path / "roles/web/tasks/main.yml").write_text("- ansible.builtin.debug:\n")
    (tmp_path / "inventories/shop/chain.yml").write_text(
        "tiers: {children: {ops: {hosts: {base: {tier_bootstrap: {suite: trixie}}, web: {tier_parent: base}}}}}\n"
    )
    return World(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("meta/argument_specs.yml", "- a\n- b\n"),
        ("meta/argument_specs.yml", "argument_specs: [main]\n"),
        ("meta/argument_specs.yml", "argument_specs: {main: [a]}\n"),
        ("meta/argument_specs.yml", "argument_specs: {main: {options: [a]}}\n"),
        ("meta/argument_specs.yml", "argument_specs: {main: {options: {port: int}}}\n"),
        ("meta/argument_specs.yml", "argument_specs: text\n"),
        ("meta/main.yml", "- a\n"),
        ("meta/main.yml", "dependencies: 5\n"),
        ("meta/main.yml", "dependencies: [5]\n"),
        ("meta/main.yml", "dependencies: [{src: x}]\n"),
        ("meta/main.yml", "argument_specs: 7\n"),
        ("defaults/main.yml", "- a\n"),
        ("defaults/main.yml", "text\n"),
        ("defaults/main.yml", "a: [\n"),
    ],
)
def test_a_malformed_file_of_a_role_is_named(world, file, content):
    (world.folder / "roles/web" / file).write_text(content)
    with pytest.raises(ChainError, match=r"roles/web/meta|roles/web/defaults"):
        world.decide()


@pytest.mark.parametrize("force", [5, 5.5, True, {"web": 1}])
def test_an_invalid_tier_force_is_rejected(world, force):
    with pytest.raises(ChainError, match=r"^tier_force is .*expected names of tiers"):
        world.planner().decide(world.engine, force)


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("y"), RecursionError("z"), UnicodeDecodeError("a", b"", 0, 1, "b")]
)
def test_any_exception_becomes_a_message_with_the_tier(error):
    with pytest.raises(AnsibleActionFail, match=r"^tier 'web': failed") as failure, errors_as_messages("tier 'web'"):
        raise error
    assert type(error).__name__ in str(failure.value)
    assert "Traceback" not in str(failure.value)


def test_errors_of_ansible_and_tierwright_keep_their_messages():
    with pytest.raises(AnsibleActionFail, match=r"^ours$"), errors_as_messages():
        raise SealError("ours")
    with pytest.raises(AnsibleError, match=r"theirs"), errors_as_messages():
        raise AnsibleError("theirs")


@pytest.fixture
def display():
    instance = Display()
    attributes = vars(instance).copy()
    yield instance
    vars(instance).clear()
    vars(instance).update(attributes)


def test_control_sequences_of_modules_are_escaped(display, capsys):
    guard_display()
    guard_display()
    display.display("\x1b[0;32mok\x1b[0m \x1b]0;title\x07\x1b[8mhidden\x1b[2J\ttab\nline")
    display.error("Module failed: \x1b]0;title\x07")
    output = capsys.readouterr()
    assert output.out == "\x1b[0;32mok\x1b[0m \\x1b]0;title\\x07\\x1b[8mhidden\\x1b[2J\ttab\nline\n"
    assert "\x1b]" not in output.err
    assert "title" in output.err


@pytest.mark.parametrize(
    ("callback", "people"),
    [
        ("default", True),
        ("ansible.builtin.default", True),
        ("community.general.yaml", True),
        ("minimal", True),
        ("json", False),
        ("ansible.posix.json", False),
        ("ansible.posix.jsonl", False),
        ("acme.tools.document", False),
    ],
)
def test_only_callbacks_for_people_get_extra_lines(callback, people):
    assert writes_for_people(callback) is people
