"""The role `watcher`: the unit of systemd that it writes, and what it checks first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.once
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")

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


def run_play(folder, tasks, variables, **more):
    """Run tasks on this machine."""
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks, **more}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [program, "play.yml", "-e", json.dumps(variables)],
        cwd=folder,
        env={**os.environ, "ANSIBLE_ROLES_PATH": str(ROLE.parent), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


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
    process = run_play(folder, tasks, {"watcher_container_layout": False}, vars_files=files)
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


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_the_unit(units, name):
    assert analyze(units, name, "verify") == ""


@needs_systemd
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


@pytest.fixture
def wheels(tmp_path):
    """A folder that looks as if `make wheels` had filled it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("tierwright-0.1.0-py3-none-any.whl", "pip-26.3-py3-none-any.whl"):
        (folder / name).touch()
    return folder


def check(tmp_path, **variables):
    tasks = [{"ansible.builtin.include_role": {"name": "watcher", "tasks_from": "check"}}]
    process = run_play(tmp_path, tasks, variables)
    return process.returncode, " ".join(process.stdout.split())


def test_the_variables_are_checked_first(tmp_path, wheels):
    assert check(tmp_path, watcher_wheels=str(wheels))[0] == 0


@pytest.mark.parametrize(
    ("removed", "variables", "message"),
    [
        ("tierwright-*", {}, "with 0 wheels of Tierwright; expected one file tierwright-*.whl"),
        ("pip-*", {}, "with 0 wheels of pip; expected one file pip-*.whl"),
        ("-", {"watcher_wheels": ""}, "watcher_wheels is empty; expected a folder on the controller"),
        ("-", {"watcher_inventories": []}, "watcher_inventories is empty; expected paths of inventories"),
        (
            "-",
            {"watcher_environment": {"A": "1\nUser=root"}},
            "a line break; expected values of one line",
        ),
    ],
)
def test_a_wrong_variable_ends_the_role_with_a_sentence(tmp_path, wheels, removed, variables, message):
    for path in wheels.glob(removed):
        path.unlink()
    code, output = check(tmp_path, **{"watcher_wheels": str(wheels), **variables})
    assert code != 0
    assert message in output
