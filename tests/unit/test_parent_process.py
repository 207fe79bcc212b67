"""A process notices that its parent process has ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

LIBRARY = Path(__file__).parents[2] / "plugins/plugin_utils"
#: Starts a child that is interrupted with its parent, and prints its process ID; the parent ends when its input ends.
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.DEVNULL)
sys.stdin.read()
"""
CHILD = f"""
import signal, sys, time
sys.path.insert(0, {str(LIBRARY)!r})
from _core import parent_process
parent_process._POLL_SECONDS = 0.05
signal.signal(signal.SIGINT, signal.default_int_handler)
parent = parent_process.ParentProcess()
parent.interrupt_with()
print(parent.has_ended(), flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print(parent.has_ended(), flush=True)
"""


def test_a_process_is_interrupted_when_its_parent_is_killed():
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"False\n"
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.readline() == b"True\n"
