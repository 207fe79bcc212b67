"""The garbage collector of a run."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import garbage_collection
before = gc.get_threshold()
garbage_collection.collect_less_often()
assert all(now > was for now, was in zip(gc.get_threshold(), before)), gc.get_threshold()
lives = [[] for _ in range(1000)]
garbage_collection.freeze_objects()
assert gc.get_freeze_count() > 1000
assert not any(each is lives for each in gc.get_objects())
"""


def test_what_a_run_has_is_looked_at_no_more():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
