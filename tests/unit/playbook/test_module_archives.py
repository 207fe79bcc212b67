"""Archives of Ansible's own modules are made once, and never hide code that would take part otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("module_archives_run.py")
MODULE = "from ansible.module_utils.basic import AnsibleModule\nAnsibleModule({}).exit_json()\n"


@pytest.fixture
def run(tmp_path):
    def run_ansible(*modules, roles=(), **environment):
        own = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "temporary")}
        command = [sys.executable, str(SCRIPT), ":".join(map(str, roles)), *modules]
        process = subprocess.run(
            command, env={**os.environ, **own, **environment}, capture_output=True, text=True, check=True
        )
        return json.loads(process.stdout)

    return run_ansible


def kept(tmp_path):
    return {path.name for path in tmp_path.glob("cache/tierwright/modules/*/*")}


def test_a_later_run_uses_what_an_earlier_one_made(run, tmp_path):
    first = run("ping", "stat")
    assert (first["restored"], first["made"]) == (0, ["ping", "stat"])
    names = ["ansible.modules.ping-ZIP_DEFLATED-none", "ansible.modules.stat-ZIP_DEFLATED-none"]
    assert kept(tmp_path) == set(names)
    (folder,) = tmp_path.glob("cache/tierwright/modules/*")
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o700, 0o600}
    second = run("ping", "stat", "file")
    assert (second["restored"], second["made"]) == (2, ["file"])
    assert second["digests"].items() > first["digests"].items()
    folder.chmod(0o777)
    assert run("ping")["restored"] == 0


def test_other_code_is_never_kept_and_nothing_is_used_beside_it(run, tmp_path):
    library, utils = tmp_path / "library", tmp_path / "utils"
    for folder in (library, utils):
        folder.mkdir()
    (library / "ping.py").write_text(MODULE)
    (utils / "urls.py").write_text("def open_url(): pass\nfetch_url = url_argument_spec = open_url\n")
    (tmp_path / "cache/tierwright/modules/other").mkdir(parents=True)
    assert run(f"ping={library}/ping.py")["made"] == ["ping"]
    assert kept(tmp_path) == set()
    # This folder of shared code replaces a part of ansible-core's.
    run("get_url", "ping", ANSIBLE_MODULE_UTILS=str(utils))
    assert kept(tmp_path) == {"ansible.modules.ping-ZIP_DEFLATED-none"}
    own = run("get_url", "ping")
    assert (own["restored"], own["made"]) == (1, ["get_url"])
    changed = run("get_url", "ping", ANSIBLE_MODULE_UTILS=str(utils))
    assert (changed["restored"], changed["made"]) == (0, ["get_url", "ping"])
    assert changed["digests"]["get_url"] != own["digests"]["get_url"]


def test_a_role_with_shared_code_gets_no_archives(run, tmp_path):
    role = tmp_path / "roles/web"
    (role / "tasks").mkdir(parents=True)
    run("ping")
    assert run("ping", roles=[tmp_path / "none", role])["restored"] == 1
    (role / "module_utils").mkdir()
    assert run("ping", roles=[tmp_path / "none", role])["restored"] == 0
