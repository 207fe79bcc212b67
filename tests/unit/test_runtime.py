"""The action group in meta/runtime.yml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
#: Modules outside the group. They are not about a chain, and have none of the options that the others share.
UNGROUPED = {"engine_info", "image_service", "site_deploy", "tier_facts"}

PLAY = """
- name: Plan with a default that is refused
  hosts: localhost
  gather_facts: false
  module_defaults:
    group/tierwright.chain.chain:
      lock_timeout: soon
  tasks:
    - name: Plan
      tierwright.chain.tier_plan:
"""


def test_the_group_contains_every_module_for_chains():
    group = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["chain"]
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    assert group == sorted(modules - UNGROUPED)


def test_defaults_of_the_group_reach_a_module(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    process = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", tmp_path / "play.yml"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2, process.stdout
    assert "lock_timeout" in process.stdout, process.stdout
    assert "soon" in process.stdout, process.stdout
