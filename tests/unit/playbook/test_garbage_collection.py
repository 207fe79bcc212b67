"""The garbage collector of Python during a run."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import garbage_collection
before = gc.get_threshold()
garbage_collection.collect_less_often()
assert all(new > old for new, old in zip(gc.get_threshold(), before)), gc.get_threshold()
objects = [[] for _ in range(1000)]
garbage_collection.freeze_objects()
assert gc.get_freeze_count() > 1000
assert not any(item is objects for item in gc.get_objects())
"""


def test_frozen_objects_are_not_collected():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
