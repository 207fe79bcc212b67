"""The unit of systemd that the role `watcher` writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze"),
]

ROLE = Path(__file__).parents[2] / "roles/watcher"
TEMPLATE = ROLE / "templates/tierwright-watch.service.j2"
#: The program is not on this machine, and systemd-analyze looks for it.
PROGRAM = "/opt/tierwright/bin/tierwright"
#: Variables of each unit that the tests look at. The second one has what would break a unit that does not quote.
UNITS = {
    "plain": {},
    "full": {
        "watcher_engine": True,
        "watcher_project_writable": True,
        "watcher_inventories": ["site.yml", 'a "b" 5% $HOME.yml'],
        "watcher_environment": {"DOCKER_HOST": "tcp://engine:2376", "ODD": 'a "b" \\ 5% $HOME'},
        "watcher_credentials": {
            "vault-password": "/etc/tierwright/vault",
            "config.json": "/etc/tierwright/config.json",
            "ca.pem": "/etc/tierwright/ca.pem",
            "token": "/etc/tierwright/5%",
        },
        "watcher_service_lines": ["MemoryMax=1G"],
    },
}


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The folder with a unit for each entry of UNITS."""
    folder = tmp_path_factory.mktemp("units")
    tasks = [
        {
            "ansible.builtin.copy": {
                "content": "{{ lookup('ansible.builtin.template', '" + str(TEMPLATE) + "') }}",
                "dest": str(folder / f"{name}.service"),
                "mode": "0644",
            },
            "vars": variables,
        }
        for name, variables in UNITS.items()
    ]
    files = [str(ROLE / path) for path in ("defaults/main.yml", "vars/main.yml")]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars_files": files, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [program, folder / "play.yml", "-e", json.dumps({"watcher_container_layout": False})]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert process.returncode == 0, process.stdout + process.stderr
    for name in UNITS:
        unit = folder / f"{name}.service"
        assert PROGRAM in unit.read_text()
        (folder / f"tierwright-{name}.service").write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    return folder


def analyze(units, name, *arguments):
    unit = units / f"tierwright-{name}.service"
    process = subprocess.run(["systemd-analyze", *arguments, unit], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_the_unit(units, name):
    assert analyze(units, name, "verify") == ""


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_exposes_little(units, name):
    """A unit without any such setting has an exposure of 9.6."""
    assert "Overall exposure" in analyze(units, name, "security", "--offline=true", "--threshold=20")


def test_only_the_variable_gives_the_right_to_use_the_engine(units):
    assert "SupplementaryGroups" not in (units / "plain.service").read_text()
    assert "SupplementaryGroups=docker\n" in (units / "full.service").read_text()


def test_only_the_variable_lets_the_watcher_write_to_the_project(units):
    assert "ReadWritePaths" not in (units / "plain.service").read_text()
    assert "ReadWritePaths=/srv/tierwright\n" in (units / "full.service").read_text()


def test_values_of_the_inventory_are_quoted(units):
    text = (units / "full.service").read_text()
    assert 'ExecStart=/opt/tierwright/bin/tierwright watch -i "site.yml" -i "a \\"b\\" 5%% $$HOME.yml"\n' in text
    assert 'Environment="ODD=a \\"b\\" \\\\ 5%% $HOME"\n' in text
    assert "LoadCredential=token:/etc/tierwright/5%%\n" in text


def test_secrets_are_files_of_systemd(units):
    text = (units / "full.service").read_text()
    assert 'Environment="ANSIBLE_VAULT_PASSWORD_FILE=%d/vault-password"\n' in text
    assert 'Environment="DOCKER_CONFIG=%d"\n' in text
    assert 'Environment="DOCKER_CERT_PATH=%d"\n' in text
