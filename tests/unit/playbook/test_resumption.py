"""Which tasks a resumed build does not repeat, and which task replaces them."""

from __future__ import annotations

import sys

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.play import Play
from ansible.playbook.task import Task as AnsibleTask
from ansible.plugins.loader import init_plugin_loader

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import Task
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.resumption import Resumption
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.kept_builds import PastTask

FILE = "web/tasks/main.yml"


@pytest.fixture(scope="module", autouse=True)
def loader_of_ansible():
    """Names such as ansible.builtin.command need Ansible's loader, which other tests must not find."""
    finders, hooks = list(sys.meta_path), list(sys.path_hooks)
    init_plugin_loader([])
    yield
    sys.meta_path[:], sys.path_hooks[:] = finders, hooks
    sys.path_importer_cache.clear()


@pytest.fixture
def play():
    loader = DataLoader()
    play = Play.load({"name": "play", "hosts": "all", "tasks": []}, loader=loader)
    play._loader = loader
    return play


def make(play, data, kind=AnsibleTask):
    return kind.load(data, block=Block(play=play), loader=play._loader)


def past(name, status):
    return PastTask("web", name, FILE, status)


def run(resumption, play, name, data, line=1, kind=AnsibleTask):
    task = make(play, {"name": name, **data}, kind)
    return task, resumption.substitute(task, Task("web", name, f"{FILE}:{line}"), play)


COMMAND = {"ansible.builtin.command": "make", "register": "made", "notify": ["Restart"], "when": "no_such_variable"}


def test_a_task_that_changed_something_is_not_repeated(play):
    task, instead = run(Resumption("r1", [past("Make", "changed")]), play, "Make", COMMAND, line=77)
    assert instead is not task
    assert instead.action == "ansible.builtin.debug"
    assert "r1" in instead.args["msg"]
    assert instead.register == task.register
    assert "made" in instead.register  # a name, or with ansible-core 2.21 a dictionary of names
    assert (instead.notify, instead._uuid) == (["Restart"], task._uuid)
    assert instead.when == []  # its condition was true before, and may not be evaluable now


@pytest.mark.parametrize("status", ["ok", "skipped", "failed", "ignored", "unreachable", "started"])
def test_every_other_task_runs_again(play, status):
    task, instead = run(Resumption("r1", [past("Make", status)]), play, "Make", COMMAND)
    assert instead is task


@pytest.mark.parametrize(
    "data",
    [
        {"ansible.builtin.set_fact": {"a": 1}},
        {"ansible.builtin.include_vars": "a.yml"},
        {"ansible.builtin.include_tasks": "a.yml"},
        {"ansible.builtin.add_host": {"name": "x"}},
    ],
)
def test_tasks_of_the_play_run_again_even_if_they_reported_a_change(play, data):
    task, instead = run(Resumption("r1", [past("Make", "changed")]), play, "Make", data)
    assert instead is task


def test_tasks_of_one_name_are_counted_in_their_order(play):
    resumption = Resumption("r1", [past("Make", "skipped"), past("Make", "changed")])
    results = [run(resumption, play, "Make", COMMAND) for _number in range(3)]
    assert [task is instead for task, instead in results] == [True, False, True]


def test_a_new_task_runs_and_the_known_ones_after_it_are_known_still(play):
    resumption = Resumption("r1", [past("Make", "changed"), past("Install", "changed")])
    results = [run(resumption, play, name, COMMAND) for name in ("Make", "Brand new", "Install")]
    assert [task is instead for task, instead in results] == [False, True, False]


def test_a_handler_stays_a_handler(play):
    data = {"ansible.builtin.command": "restart", "listen": "x"}
    _task, instead = run(Resumption("r1", [past("Restart", "changed")]), play, "Restart", data, kind=Handler)
    assert isinstance(instead, Handler)
