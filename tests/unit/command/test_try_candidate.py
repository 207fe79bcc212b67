"""`tierwright try-candidate` becomes ansible-playbook: output is live, its status is the answer, signals reach it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "tierwright"
#: An "Ansible" that shows what it gets.
FAKE = """
import os, sys, time
print("started", os.getpid(), *sys.argv[1:], flush=True)
print(sys.stdin.readline().strip(), flush=True)
if "wait" in sys.argv:
    time.sleep(60)
raise SystemExit(7)
"""


@pytest.fixture
def start(tmp_path):
    """A function that starts the verb with an Ansible of the test."""
    (tmp_path / "ansible").mkdir()
    (tmp_path / "ansible/__init__.py").touch()
    (tmp_path / "ansible/__main__.py").write_text(FAKE)

    def start(*arguments):
        return subprocess.Popen(
            [COMMAND, "try-candidate", *arguments],
            env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    handler = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, all children ignore it
    yield start
    signal.signal(signal.SIGHUP, handler)


def test_the_playbook_runs_in_place_of_the_command(start):
    with start("-i", "a.yml", "-i", "b.yml", "--", "--limit", "app", "-e", "x=a b") as process:
        words = "playbook tierwright.chain.try_candidate -i a.yml -i b.yml --limit app -e x=a b"
        assert process.stdout.readline() == f"started {process.pid} {words}\n"  # before it ends
        out, err = process.communicate("answer\n")
        assert (process.returncode, out, err) == (7, "answer\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_it(start, number):
    with start("--", "wait") as process:
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("started")
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(number)
        process.communicate(timeout=10)
        assert process.returncode == -number


def test_unknown_options_are_those_of_ansible_only_after_two_dashes(start):
    with start("--limit", "app") as process:
        _out, err = process.communicate()
        assert process.returncode == 2
        assert "No such option" in err
