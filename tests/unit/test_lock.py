"""Waiting for a lock that a different process holds: it ends, and the message names that process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.local_files import is_locked, lock

HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "wb") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print(flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "it")], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_waiting_for_a_lock_of_a_stopped_process_ends(tmp_path, holder):
    os.kill(holder.pid, signal.SIGSTOP)
    with (tmp_path / "it").open("wb") as file, pytest.raises(RunError, match=rf"process {holder.pid} .*T \(stopped\)"):
        lock(file, 0.2)


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.kill()
    with (tmp_path / "it").open("wb") as file:
        lock(file, 10)


def test_whether_a_file_is_locked_can_be_asked_without_waiting(tmp_path, holder):
    assert is_locked(tmp_path / "it")
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path / "it")
    assert not is_locked(tmp_path / "nothing")
