"""Commands through a shell that stays in a container have the results of commands that an engine starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import shared_shell
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.shared_shell import SharedShell
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.shell_protocol import (
    ShellAnswer,
    ShellResult,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import streams
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import StartedCommand
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, TooMuchOutputError

TOKEN = "c0ffee"
#: The shells of this machine that images may have as /bin/sh.
SHELLS = [path for path in map(shutil.which, ("dash", "bash", "busybox")) if path]


class Container:
    """Stands for the commands of an engine: starts programs of this machine, in place of those of a container.

    A folder takes the place of /proc, because processes of this machine come and go all the time.
    """

    def __init__(self, shell: Path, folder: Path) -> None:
        self.shell, self.folder = str(shell), folder
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "GREETING": "hello  there\n", "PROC": str(self.proc)}
        #: The shells that were started.
        self.shells: list[subprocess.Popen[bytes]] = []

    def run(self, *argv):
        """Run a command as an engine does: as leader of a session, without input."""
        done = subprocess.run(argv, input=b"", capture_output=True, check=False, **self._options())
        return _code(done.returncode), done.stdout, done.stderr

    @contextlib.contextmanager
    def started(self, _container, argv, _user):
        program, *words = [word.replace("/proc/", f"{self.proc}/") for word in argv]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        assert program == "/bin/sh"
        process = subprocess.Popen([self.shell, *words], **pipes, **self._options())
        self.shells.append(process)
        with contextlib.closing(_connect(process)) as near:
            yield StartedCommand(near, b"", can_end_input=True, status=lambda: _code(process.wait(10)))

    def known_status(self, _container, code):
        return code

    def end(self):
        for process in self.shells:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()

    def _options(self):
        return {"env": self.environment, "cwd": self.folder, "start_new_session": True}


def _code(status):
    return 128 - status if status < 0 else status


def _connect(process):
    """Return a socket with the streams of a process, in the format of an engine."""
    near, far = socket.socketpair()
    lock = threading.Lock()

    def send(number, pipe):
        with pipe:
            while data := os.read(pipe.fileno(), 1 << 16):
                with lock, contextlib.suppress(OSError):
                    far.sendall(struct.pack(">BxxxL", number, len(data)) + data)

    def receive():
        with contextlib.suppress(OSError), process.stdin:
            while data := far.recv(1 << 16):
                process.stdin.write(data)
                process.stdin.flush()

    writers = [threading.Thread(target=send, args=pair) for pair in ((1, process.stdout), (2, process.stderr))]

    def finish():
        for writer in writers:
            writer.join()
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_WR)

    for thread in [*writers, *(threading.Thread(target=target) for target in (receive, finish))]:
        thread.daemon = True
        thread.start()
    return near


@pytest.fixture(params=SHELLS, ids=lambda path: Path(path).name)
def container(request, tmp_path):
    """A container for each kind of shell."""
    link = tmp_path / "sh"
    link.symlink_to(request.param)
    container = Container(link, tmp_path)
    yield container
    container.end()


@pytest.fixture
def shell(container):
    shell = SharedShell(SimpleNamespace(exec=container), "it")
    yield shell
    shell.end()


ENVIRONMENT = (
    "env | grep -v ^_= | sort; pwd; umask; ulimit -a; ls /proc/self/fd | wc -l; grep ^Sig[BIC] /proc/self/status"
)

LINES = [
    ":",
    "echo out; echo err >&2; exit 7",
    "exit 255",
    "no-such-program",
    "/etc/passwd",
    "if true; then",
    "echo 'unclosed",
    "set -eu; echo $UNSET; echo never",
    "printf 'no newline'",
    "printf 'nul: \\0, last\\n\\n\\n'",
    'echo "$GREETING"; echo \'$GREETING \\\\ \\t `x`\'; echo "* ~" *',
    "echo ä € 𝄞; printf '\\377\\201\\210\\n'",
    'cat; echo "at the end: $?"; read -r line || echo nothing',
    "echo first\necho second \\\n  third\n\n# comment\n",
    "echo trailing backslash \\",
    "cat <<'X'\nhere $x\n  X\nX\n",
    "cd /tmp; umask 077; export GREETING=bye X=1; f() { echo f; }; trap 'echo bye' EXIT",
    'echo "$GREETING${X-}"; pwd; f',
    "echo kept; exec 1>&-; echo lost",
    "echo one; exec 2>&1; echo joined >&2",
    *(f"kill -{signal} $$; sleep 5" for signal in ("TERM", "KILL", "INT", "HUP", "PIPE", "SEGV", "USR1")),
    "sh -c 'kill -9 $$'; echo $?",
    "head -c 300000 /dev/zero; head -c 300000 /dev/zero | tr '\\0' e >&2",
    'echo $0; echo $#; echo "[$*]"; echo $-; set | grep -c tierwright',
    ENVIRONMENT,
]


@pytest.mark.parametrize("line", LINES)
def test_a_command_has_the_result_that_it_has_without_the_shell(container, shell, line):
    for _ in range(2):
        assert shell.run([container.shell, "-c", line]) == container.run(container.shell, "-c", line)


def test_all_commands_use_one_shell_and_leave_no_state(container, shell):
    for line in LINES:
        assert shell.run([container.shell, "-c", line]) is not None
    assert shell.run([container.shell, "-c", ENVIRONMENT]) == container.run(container.shell, "-c", ENVIRONMENT)
    assert len(container.shells) == 1


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize("path", SHELLS)
@given(st.lists(st.lists(TEXT, max_size=4), min_size=1, max_size=3))
@settings(max_examples=10)
def test_words_arrive_unchanged(tmp_path_factory, path, commands):
    folder = tmp_path_factory.mktemp("words")
    link = folder / "sh"
    link.symlink_to(path)
    container = Container(link, folder)
    shell = SharedShell(SimpleNamespace(exec=container), "it")
    try:
        for words in commands:
            expected = "".join(f"{word}\0" for word in words).encode()
            assert shell.run(["/usr/bin/printf", r"%s\0", *words]) == (0, expected or b"\0", b"")
    finally:
        shell.end()
        container.end()


def test_a_program_without_a_path_is_no_builtin_command(shell):
    assert shell.run(["printf", "%s", "x y"]) == (0, b"x y", b"")
    code, _stdout, stderr = shell.run(["set", "x"])
    assert code == 127
    assert b"not found" in stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["/bin/sh", "-c", "exec bash -ic :"],
        ["/bin/sh", "-c", "test $PPID = 0"],
        ["/bin/sh", "-c", f"echo {'x' * 20_000}"],
    ],
)
def test_the_engine_starts_commands_that_look_at_their_parent_and_long_ones(container, shell, argv):
    assert shell.run(argv) is None
    assert container.shells == []


def test_output_of_processes_that_a_command_leaves_belongs_to_this_command(container, shell):
    leave = "mkdir $PROC/77; (sleep 0.3; echo late; echo late >&2) & echo now"
    assert shell.run([container.shell, "-c", leave]) == (0, b"now\nlate\n", b"late\n")
    assert shell.run([container.shell, "-c", "echo next"]) == (0, b"next\n", b"")
    assert len(container.shells) == 2


def test_a_process_that_stays_does_not_keep_its_command_from_ending(container, shell, monkeypatch):
    monkeypatch.setattr(shared_shell, "_REST_SECONDS", 0.1)
    began = time.monotonic()
    leave = "mkdir $PROC/77; (sleep 20; echo late) & echo now"
    assert shell.run([container.shell, "-c", leave]) == (0, b"now\n", b"")
    assert shell.run([container.shell, "-c", "echo next"]) == (0, b"next\n", b"")
    assert time.monotonic() - began < 10


def test_a_command_that_kills_its_process_group_has_the_status_of_the_signal(container, shell):
    assert shell.run([container.shell, "-c", "echo before; kill -9 0; echo after"]) == (137, b"before\n", b"")
    assert shell.run([container.shell, "-c", "echo next"]) == (0, b"next\n", b"")


def test_a_killed_shell_is_replaced(container, shell):
    assert shell.run([container.shell, "-c", "echo one"]).stdout == b"one\n"
    container.end()
    assert shell.run([container.shell, "-c", "echo two"]).stdout == b"two\n"


def test_the_engine_runs_a_command_while_the_shell_is_busy(container, shell):
    answers = []
    line = "touch $PROC/../begun; until [ -e $PROC/../go ]; do sleep 0.01; done; echo done"
    thread = threading.Thread(target=lambda: answers.append(shell.run([container.shell, "-c", line])))
    thread.start()
    while not (container.folder / "begun").exists():
        time.sleep(0.01)
    assert shell.run([container.shell, "-c", "echo other"]) is None
    shell.end()  # does not wait for the command
    (container.folder / "go").touch()
    thread.join(10)
    assert answers == [(0, b"done\n", b"")]


def test_an_interrupted_command_does_not_disturb_the_next_one(container, shell, monkeypatch):
    def interrupted(_answer, _stream, _data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ShellAnswer, "take", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shell.run([container.shell, "-c", "echo one"])
    assert shell.run([container.shell, "-c", "echo two"]) == (0, b"two\n", b"")


def test_a_shell_ends_when_it_is_asked_to(container, shell):
    shell.run([container.shell, "-c", "echo one"])
    shell.end()
    assert container.shells[0].wait(10) == 0


def test_too_much_output_is_an_error(container, shell, monkeypatch):
    monkeypatch.setattr(streams, "MAX_OUTPUT", 100_000)
    with pytest.raises(TooMuchOutputError):
        shell.run([container.shell, "-c", "head -c 200000 /dev/zero"])
    assert shell.run([container.shell, "-c", "echo next"]) == (0, b"next\n", b"")


@pytest.mark.parametrize("script", ["exit 0", "cat", "echo hello; cat", "echo ready; exit 1"])
def test_the_engine_runs_the_commands_if_the_shell_is_none(tmp_path, monkeypatch, script):
    monkeypatch.setattr(shared_shell, "_START_SECONDS", 0.2)
    strange = tmp_path / "sh"
    strange.write_text(f"#!/bin/sh\n{script}\n")
    strange.chmod(0o755)
    container = Container(strange, tmp_path)
    shell = SharedShell(SimpleNamespace(exec=container), "it")
    assert shell.run(["/bin/true"]) is None
    assert shell.run(["/bin/true"]) is None
    assert len(container.shells) <= 2
    container.end()


def test_an_answer_that_no_shell_gives_is_an_error(tmp_path):
    strange = tmp_path / "sh"
    strange.write_text('#!/bin/sh\necho ready\nread -r token words\nprintf "%s<output%s>none" $token $token\n')
    strange.chmod(0o755)
    container = Container(strange, tmp_path)
    shell = SharedShell(SimpleNamespace(exec=container), "it")
    for _ in range(2):  # the second command has a new shell
        with pytest.raises(EngineError, match="what is not an exit status"):
            shell.run(["/bin/true"])
    assert len(container.shells) == 2
    container.end()


def test_a_shell_that_does_not_read_is_an_error(container, shell, monkeypatch):
    shell.run([container.shell, "-c", "echo one"])
    os.killpg(container.shells[0].pid, signal.SIGSTOP)
    monkeypatch.setattr(shared_shell, "_START_SECONDS", 0.2)
    with pytest.raises(EngineError, match="has not read a command"):
        shell.run([container.shell, "-c", "echo two"])
    assert shell.run([container.shell, "-c", "echo three"]) == (0, b"three\n", b"")


def wire(token, before, output, result, late):
    return before + f"{token}<".encode() + output + f"{token}>{result}".encode() + late


NOISE = st.binary(max_size=40)


@given(st.lists(NOISE, min_size=6, max_size=6), st.integers(0, 255), st.booleans(), st.data())
def test_an_answer_is_found_in_pieces_of_any_size(parts, status, left, data):
    result = f"{status:03d}{int(left)}"
    rest = {1: wire(TOKEN, *parts[:2], result, parts[2]), 2: wire(TOKEN, *parts[3:5], result, parts[5])}
    answer = ShellAnswer(TOKEN)
    late = {1: len(parts[2]), 2: len(parts[5])}
    while any(rest.values()):
        stream = data.draw(st.sampled_from([number for number in rest if rest[number]]))
        size = data.draw(st.integers(1, 30))
        answer.take(stream, rest[stream][:size])
        rest[stream] = rest[stream][size:]
        assert (answer.result is not None) == all(len(rest[number]) <= late[number] for number in rest)
    assert answer.result == ShellResult(status, left)
    assert bytes(answer.output.stdout) == parts[1] + parts[2]
    assert bytes(answer.output.stderr) == parts[4] + parts[5]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 7]), st.binary(max_size=50)), max_size=20))
@example([(1, b"c0ffee<c0ffee>abcd")])
@example([(1, b"c0ffee<c0ffee>9999"), (2, b"c0ffee<c0ffee>0000")])
def test_whatever_a_container_writes_is_an_answer_or_an_error(pieces):
    answer = ShellAnswer(TOKEN)
    with contextlib.suppress(EngineError, TooMuchOutputError):
        for stream, piece in pieces:
            answer.take(stream, piece)
    assert answer.result is None or 0 <= answer.result.status <= 999


def test_what_arrives_before_a_command_is_not_kept():
    answer = ShellAnswer(TOKEN)
    for _ in range(100):
        answer.take(1, b"x" * 10_000)
    assert len(answer.output.stdout) < 100
    assert not answer.begun
