"""Tasks that manage services are redirected for build containers, and for nothing else."""

from __future__ import annotations

import pytest
from ansible.playbook.task import Task

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.service_tasks import (
    IMAGE_SERVICE,
    image_arguments,
    init_script,
    is_service_task,
    is_started,
    redirect,
)

NGINX = {"name": "nginx", "state": "started"}


def task(action, arguments, delegate_to=None):
    made = Task()
    made.action, made.args, made.delegate_to = action, arguments, delegate_to
    made._resolved_action = f"resolved {action}"
    return made


@pytest.mark.parametrize("module", ["service", "systemd", "systemd_service", "sysvinit"])
@pytest.mark.parametrize("collection", ["", "ansible.builtin.", "ansible.legacy."])
def test_each_module_for_services_is_redirected_in_build_containers(module, collection):
    redirected = task(collection + module, NGINX)
    resolved = redirected.resolved_action
    assert is_service_task(redirected)
    redirect(redirected, "tierwright.chain.tier")
    assert (redirected.action, redirected.args, redirected.resolved_action) == (IMAGE_SERVICE, NGINX, resolved)


def test_on_a_machine_the_module_itself_runs():
    unchanged = task("service", NGINX)
    redirect(unchanged, "ssh")
    assert unchanged.action == "service"


@pytest.mark.parametrize(
    "other",
    [
        task("ansible.builtin.command", {"_raw_params": "systemctl start nginx"}),
        task("service", NGINX, delegate_to="localhost"),
        task("service", {**NGINX, "use": "runit"}),
        task("ansible.builtin.service_facts", {}),
        task("community.general.systemd", NGINX),
    ],
)
def test_other_tasks_are_not_redirected(other):
    assert not is_service_task(other)


def test_options_of_a_running_service_are_left_out():
    arguments = {"service": "web", "sleep": 5, "pattern": "x", "no_block": True, "enabled": True, "runlevels": ["2"]}
    assert image_arguments(arguments) == ({"name": "web", "enabled": True}, ["runlevels"])


@pytest.mark.parametrize(
    ("services", "name", "started"),
    [
        (None, "web", False),
        ({}, "web", False),
        ({"manager": "systemd"}, "web", False),
        ({"start": ["db"]}, "web", False),
        ({"start": ["db", "web"]}, "web", True),
        ({"start": ["web"]}, "web.service", True),
        ({"start": ["web.service"]}, "web", True),
        ({"start": ["web"]}, "web@15-main", True),
        ({"start": ["web@15-main"]}, "web@15-main.service", True),
        ({"start": ["web@15-main"]}, "web", False),
    ],
)
def test_only_listed_services_start(services, name, started):
    assert is_started(services, {"name": name}) is started


@pytest.mark.parametrize("name", ["db", "db.service", "db@15-main", "db@15-main.service"])
def test_instances_share_an_init_script(name):
    assert init_script(name) == "db"


@pytest.mark.parametrize("option", ["daemon_reload", "daemon-reload", "daemon_reexec", "daemon-reexec"])
def test_options_have_both_spellings_that_the_modules_of_ansible_know(option):
    assert image_arguments({option: True}) == ({option.replace("-", "_"): True}, [])
