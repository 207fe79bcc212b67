"""Commands that a real agent runs, on the Pythons of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import frames

MUCH = os.urandom(1 << 16) * 64


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_a_command_ends_with_its_status(agent, code):
    result = agent.sh(f"exit {code}")
    assert (result.code, result.signal, result.stdout, result.stderr, result.notes) == (code, 0, b"", b"", [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP])
def test_a_command_that_is_ended_by_a_signal_reports_it(an_agent, number):
    result = an_agent.sh(f"kill -{number.value} $$; sleep 9")
    assert (result.code, result.signal) == (128 + number, number)


def test_output_and_errors_are_separate(agent):
    result = agent.sh("echo out; echo err >&2; cat", b"in", b"put")
    assert (result.code, result.stdout, result.stderr) == (0, b"out\ninput", b"err\n")


def test_much_input_and_output_flow_at_the_same_time(agent):
    result = agent.sh("tee /dev/stderr", MUCH[: len(MUCH) // 2], b"", MUCH[len(MUCH) // 2 :])
    assert result.code == 0
    assert result.stdout == result.stderr == MUCH


def test_a_command_need_not_read_its_input(agent):
    assert agent.sh("echo done", MUCH).stdout == b"done\n"
    assert agent.sh("exec <&-; sleep 0.1; echo done", MUCH).stdout == b"done\n"


def test_a_command_without_input_sees_the_end_of_input(agent):
    assert agent.sh("cat; echo end").stdout == b"end\n"


def test_a_background_process_with_open_output_is_waited_for(an_agent):
    started = time.monotonic()
    result = an_agent.sh("(sleep 0.3; echo late) & echo early; exit 3")
    assert (result.code, result.stdout) == (3, b"early\nlate\n")
    assert time.monotonic() - started >= 0.3


def test_a_background_process_with_closed_output_is_not_waited_for(an_agent):
    started = time.monotonic()
    result = an_agent.sh("setsid sleep 3 >/dev/null 2>&1 & echo $!")
    assert time.monotonic() - started < 2
    os.kill(int(result.stdout), signal.SIGKILL)


def test_a_missing_program_ends_with_status_127(agent):
    result = agent.run({"do": "exec", "argv": ["/no/such/program"]})
    assert (result.code, result.stdout) == (127, b"")
    assert b"/no/such/program: No such file" in result.stderr


def test_a_program_that_cannot_be_run_ends_with_status_126(agent):
    result = agent.run({"do": "exec", "argv": ["/etc/passwd"]})
    assert result.code == 126
    assert b"/etc/passwd: Permission denied" in result.stderr


def test_variables_are_added_to_the_environment(agent):
    value = "a 'b' \"c\"\n$d é \udcff"
    result = agent.sh('printf %s "$WILD"; printf %s "$PATH" >&2', env={"WILD": value})
    assert result.stdout == os.fsencode(value)
    assert result.stderr.decode() == os.environ["PATH"]


def test_a_command_runs_as_the_user_of_the_agent_by_default(agent):
    result = agent.sh('echo "$(id -u)"; echo "$HOME"', user="")
    assert result.stdout.decode().splitlines() == [str(os.getuid()), os.environ["HOME"]]


def test_an_unknown_user_or_group_is_an_error(agent):
    result = agent.sh("echo never", user="no-such-user")
    assert (result.code, result.stdout) == (126, b"")
    assert b"the build container has no user 'no-such-user', which ansible_user," in result.stderr
    assert b"has no group" in agent.sh("echo never", user="root:no-such-group").stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("4711", "4711 0 0"),
        ("4711:4712", "4711 4712 4712"),
        ("daemon", "1 1 1"),
        ("daemon:adm", "1 4 1 4"),
        ("0", "0 0 0"),
        ("root:adm", "0 4 0 4"),
    ],
)
def test_a_command_runs_as_a_user_by_name_or_number(an_agent, user, ids):
    result = an_agent.sh("echo $(id -u) $(id -g) $(id -G)", user=user)
    uid, gid, *groups = result.stdout.decode().split()
    assert [uid, gid, *sorted(set(groups), key=int)] == [*ids.split()[:2], *sorted(set(ids.split()[2:]), key=int)]


def test_a_command_inherits_nothing_from_the_agent(agent):
    """It inherits no descriptor, no blocked or ignored signal and no variable from the agent."""
    script = "ls /proc/self/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status; env -u PYTEST_CURRENT_TEST | sort"
    environment = dict(os.environ)  # without env, a process also gets what readline sets, which pytest imports
    handler = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, all children ignore it
    try:
        expected = subprocess.run(
            ["/bin/sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=True
        )
    finally:
        signal.signal(signal.SIGHUP, handler)
    assert agent.sh(script).stdout.decode().splitlines() == expected.stdout.decode().splitlines()


def test_a_command_does_not_see_the_locale_that_python_sets(start):
    agent = start(LANG="C")
    assert agent.sh("echo $LC_CTYPE").stdout == b"\n"
    assert agent.sh("echo $LC_CTYPE", env={"LC_CTYPE": "C"}).stdout == b"C\n"


def test_a_file_is_copied_in_and_out(agent, tmp_path):
    path = str(tmp_path / "a name\n'with' é")
    put = agent.run({"do": "put", "path": path}, MUCH, b"", b"end")
    assert (put.code, put.stderr) == (0, b"")
    fetched = agent.run({"do": "fetch", "path": path})
    assert (fetched.code, fetched.stdout) == (0, MUCH + b"end")


def test_an_empty_file_is_copied_in_and_out(agent, tmp_path):
    assert agent.run({"do": "put", "path": str(tmp_path / "x")}).code == 0
    assert agent.run({"do": "fetch", "path": str(tmp_path / "x")}).stdout == b""


@pytest.mark.parametrize("do", ["put", "fetch"])
def test_a_file_that_cannot_be_opened_is_an_error(agent, tmp_path, do):
    missing = agent.run({"do": do, "path": str(tmp_path / "no/such")}, MUCH)
    assert (missing.code, missing.stdout) == (1, b"")
    assert missing.stderr.decode() == f"{tmp_path}/no/such: No such file or directory\n"
    folder = agent.run({"do": do, "path": str(tmp_path)}, MUCH)
    assert (folder.code, folder.stderr.decode()) == (1, f"{tmp_path}: Is a directory\n")


def test_commands_run_in_parallel(agent, tmp_path):
    """Each command waits for the other, so in sequence they would never end."""
    os.mkfifo(tmp_path / "fifo")
    results = {}
    scripts = {"read": "cat fifo", "write": "echo hello > fifo"}
    threads = [
        threading.Thread(
            target=lambda name=name, script=script: results.update({name: agent.sh(f"cd {tmp_path}; {script}")})
        )
        for name, script in scripts.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results["read"].stdout == b"hello\n"
    assert results["write"].code == 0


def test_commands_leave_nothing_behind(an_agent):
    before = an_agent.idle_descriptors()
    for number in range(50):
        an_agent.sh(f"echo; exit {number}", b"unread")
    an_agent.until(
        lambda: an_agent.idle_descriptors() <= before
    )  # the agent sees the end of the last connection a moment later
    assert an_agent.children() == 0


def test_commands_share_one_stream(agent):
    agent.open(1, "sh", "-c", "read x; echo one $x; exit 1")
    agent.open(2, "sh", "-c", "cat; exit 2")
    agent.send(2, frames.STDIN, MUCH[:100_000])
    agent.send(1, frames.STDIN, b"1\n")
    agent.send(2, frames.STDIN)
    assert agent.end_of(2) == {"code": 2, "signal": 0}
    assert agent.end_of(1) == {"code": 1, "signal": 0}
    assert agent.received(1, frames.STDOUT) == b"one 1\n"
    assert agent.received(2, frames.STDOUT) == MUCH[:100_000]
