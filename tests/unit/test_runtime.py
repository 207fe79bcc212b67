"""What meta/runtime.yml says of the collection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
#: Answers a question about an engine, and takes none of the options that the others share.
ALONE = {"engine_info"}

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


def test_the_group_has_every_module_that_works_on_a_chain():
    group = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["chain"]
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    assert group == sorted(modules - ALONE)


def test_defaults_of_the_group_reach_a_module(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", tmp_path / "play.yml"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    assert "lock_timeout" in done.stdout, done.stdout
    assert "soon" in done.stdout, done.stdout
