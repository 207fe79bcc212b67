"""How the agent and its commands end, and what must not end them."""

from __future__ import annotations

import io
import json
import resource
import time
import zipfile
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import frames

#: A command that writes its own process ID and that of its child, then does not end by itself; a shell ends by TERM.
LASTS = "sleep 60 & echo $$ $!; wait"
STUBBORN = f"trap '' TERM; {LASTS}"


def opening(script):
    return frames.encode(0, frames.OPEN, json.dumps({"do": "exec", "argv": ["/bin/sh", "-c", script]}).encode())


def processes(output):
    return [int(word) for word in output.split()]


def gone(pid):
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def all_gone(pids):
    assert len(pids) == 2
    return all(gone(pid) for pid in pids)


def started_over_stream(agent, script=LASTS):
    agent.open(5, "/bin/sh", "-c", script)
    return processes(agent.until(lambda: agent.taken(5, frames.STDOUT)))


def started_over_socket(sock, script=LASTS):
    sock.sendall(opening(script))
    taken = []
    decoder = frames.Decoder(lambda *frame: taken.append(frame))
    while not taken:
        decoder.feed(sock.recv(4096))
    return processes(taken[0][2])


@pytest.mark.parametrize("script", [LASTS, STUBBORN])
def test_a_command_that_nobody_wants_is_ended_with_its_children(start, script):
    agent = start()
    pids = started_over_stream(agent, script)
    before = time.monotonic()
    agent.send(5, frames.ABORT)
    assert agent.end_of(5)["signal"] in {9, 15}
    agent.until(lambda: all_gone(pids), 4)
    assert (time.monotonic() - before > 1) == (script is STUBBORN)


def test_a_command_whose_connection_ends_is_ended(an_agent):
    with an_agent.connect() as sock:
        pids = started_over_socket(sock)
    an_agent.until(lambda: all_gone(pids), 4)
    an_agent.until(lambda: an_agent.children() == 0)


@pytest.mark.parametrize("how", ["its stream ends", "it is told on a socket", "it is told on its stream"])
def test_the_agent_ends_with_all_commands(start, how):
    agent = start()
    assert len(list(agent.memory.iterdir())) == 1
    stream = started_over_stream(agent, STUBBORN)
    with agent.connect() as sock, agent.connect() as other:
        socket = started_over_socket(sock)
        if how == "its stream ends":
            agent.process.stdin.close()
        elif how == "it is told on a socket":
            other.sendall(frames.encode(0, frames.END))
        else:
            agent.send(0, frames.END)
        assert agent.wait(4) == 0
    agent.until(lambda: all_gone(stream) and all_gone(socket), 1)
    with pytest.raises(ConnectionRefusedError):
        agent.connect().close()
    assert list(agent.memory.iterdir()) == []
    assert agent.taken(5, frames.EXIT) == b""


def test_an_agent_that_does_nothing_ends_at_once(start):
    agent = start()
    agent.process.stdin.close()
    assert agent.wait(0.9) == 0
    assert agent.process.stderr.read() == b""


def test_a_command_that_reads_nothing_does_not_hide_the_end_of_its_connection(an_agent):
    """Its link takes no more once much is unread."""
    with an_agent.connect() as sock:
        pids = started_over_socket(sock)
        sock.settimeout(0.3)
        piece = frames.encode(0, frames.STDIN, bytes(frames.PIECE))
        with pytest.raises(TimeoutError):
            sock.sendall(piece * 100)
    an_agent.until(lambda: all_gone(pids), 4)


def test_a_command_that_reads_nothing_does_not_hide_the_end_of_the_agent_s_stream(start):
    agent = start(listen=False)
    assert agent.about["no_socket"] == "not requested"
    pids = started_over_stream(agent)
    for _ in range(9):  # more than an agent holds, but all of it is read
        agent.send(5, frames.STDIN, bytes(frames.PIECE))
    agent.process.stdin.close()
    agent.wait(4)
    agent.until(lambda: all_gone(pids), 1)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 64,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        frames.encode(0, frames.OPEN, b"no JSON"),
        frames.encode(0, frames.OPEN, b"\xff\xff"),
        frames.encode(0, frames.OPEN, b"[]"),
        frames.encode(0, frames.OPEN, b"[" * 100_000),
        frames.HEADER.pack(0, frames.STDIN, frames.MAX_PAYLOAD + 1),
        opening("sleep 60") * 2,
    ],
    ids=["no frame", "HTTP", "no JSON", "no text", "no object", "deep JSON", "too large", "a channel twice"],
)
def test_garbage_closes_its_own_connection_only(an_agent, garbage):
    with an_agent.connect() as lasting, an_agent.connect() as sock:
        pids = started_over_socket(lasting)
        sock.sendall(garbage)
        assert sock.recv(1) == b""
        assert an_agent.sh("echo still there").stdout == b"still there\n"
        assert not any(map(gone, pids))


def test_frames_that_mean_nothing_are_passed_over(agent):
    with agent.connect() as sock:
        for kind in (frames.STDIN, frames.ABORT, frames.EXIT, 77):
            sock.sendall(frames.encode(3, kind, b"x"))
        assert len(started_over_socket(sock)) == 2


@pytest.mark.parametrize("request_", [{"do": "dance"}, {}, {"do": "exec"}, {"do": "exec", "argv": ["a\0b"]}])
def test_a_request_that_cannot_be_understood_is_one_command_s_failure(an_agent, request_):
    done = an_agent.run(request_)
    assert done.code == 1
    assert b"Error" in done.stderr


def test_an_agent_that_can_start_no_command_says_so_and_goes_on(start):
    agent = start()
    resting = agent.at_rest()
    _, hard = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (resting + 4, hard))
    agent.sh("true")  # on the child that waited for it
    done = agent.sh("true")
    assert done.code == 126
    assert b"the agent cannot start a command: Too many open files" in done.stderr
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert agent.sh("echo again").stdout == b"again\n"


def test_a_controller_that_goes_away_at_once_leaves_nothing(start, payload):
    agent = start(sends=payload[:1000], ready=False)
    agent.process.stdin.close()
    assert agent.wait() == 1
    assert list(agent.memory.iterdir()) == []


def test_module_utils_that_refuse_this_python_do_not_keep_the_agent_from_starting(start, payload):
    """They write to standard output and exit, as those of a new ansible-core do on an old Python."""
    archive = io.BytesIO(payload[8:])
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr("ansible/module_utils/common/aaa.py", "print('refused')\nraise SystemExit(1)\n")
    agent = start(sends=len(archive.getvalue()).to_bytes(8, "big") + archive.getvalue())
    assert agent.sh("echo fine").stdout == b"fine\n"
    done = agent.run({"do": "module", "interpreter": agent.python, "env": {}}, b"print('alone')")
    assert (done.code, done.stdout) == (0, b"alone\n")
