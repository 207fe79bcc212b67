"""A process that holds a private key leaves no core file. Without this protection, the file has the passphrase."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import make_key_pair

pytestmark = pytest.mark.once

PASSPHRASE = "canary-of-a-passphrase"
#: Opens a key, says that it did, and crashes when it is told to. The private bytes of the key stay in its memory.
SCRIPT = """
import ctypes, os, resource, sys
from pathlib import Path
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing import core_files, private_key, signers

PR_GET_DUMPABLE = 3
if sys.argv[1] == "unprotected":
    signers.forbid_core_files = private_key.forbid_core_files = lambda: None
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
passphrase = Path("passphrase").read_text()
signer = signers.open_signer("a.key", passphrase, folder=Path())
signer.sign(b"message")
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE)[:1], flush=True)
sys.stdin.readline()
os.abort()
"""


def crash(folder: Path, how: str) -> tuple[str, bool, bytes]:
    """Crash a process that holds a key. Returns what it printed, whether it dumped core, and what /proc showed."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, how],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    printed = process.stdout.readline()
    seen = b"".join(Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    process.stdin.write("\n")
    process.stdin.close()
    process.stdout.close()
    _pid, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    assert process.returncode == -signal.SIGABRT
    return printed, os.WCOREDUMP(status), seen


@pytest.fixture
def folder(tmp_path):
    make_key_pair("p256", tmp_path / "a.key", PASSPHRASE)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    return tmp_path


def test_a_crash_leaves_no_core_file(folder):
    before = sorted(folder.iterdir())
    printed, dumped, seen = crash(folder, "protected")
    assert printed.split() == ["0", "0"]  # not dumpable, and no core file
    assert not dumped
    assert sorted(folder.iterdir()) == before
    assert PASSPHRASE.encode() not in seen


def test_without_the_protection_a_core_file_has_the_passphrase(folder):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 or "/" in pattern or pattern.startswith("|"):
        pytest.skip(f"this machine writes no core file into the current folder (kernel.core_pattern is {pattern})")
    before = set(folder.iterdir())
    printed, dumped, _seen = crash(folder, "unprotected")
    assert printed.split()[0] == "1"
    assert dumped
    (core,) = set(folder.iterdir()) - before
    assert PASSPHRASE.encode() in core.read_bytes()
    core.unlink()


#: Opens a key as a user without rights, and lets another process of this user look at this process.
LOOK = """
import ctypes, os, subprocess, sys
from pathlib import Path
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing import core_files, private_key, signers

if sys.argv[1] == "unprotected":
    signers.forbid_core_files = private_key.forbid_core_files = lambda: None
key, passphrase = Path("a.key").read_text(), Path("passphrase").read_text()
signers.open_signer(key, passphrase, folder=Path())  # imports all that is needed
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as for a user who began without rights
signers.open_signer(key, passphrase, folder=Path())
for name in ("environ", "mem"):
    command = ["/bin/sh", "-c", f"exec < /proc/{os.getpid()}/{name}"]
    print(name, subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0)
"""


@pytest.mark.parametrize("how", ["protected", "unprotected"])
def test_other_processes_of_the_user_cannot_read_the_memory(folder, how):
    process = subprocess.run(
        [sys.executable, "-c", LOOK, how],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = dict(line.split() for line in process.stdout.splitlines())
    assert seen["environ"] == str(how == "unprotected")
    if how == "protected":  # without it, the kernel's setting kernel.yama.ptrace_scope decides
        assert seen["mem"] == "False"
