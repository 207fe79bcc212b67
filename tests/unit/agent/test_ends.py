"""How the agent and its commands end, and which errors must not end them."""

from __future__ import annotations

import io
import json
import resource
import time
import zipfile
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import frames

#: A command that prints its own process ID and that of its child, and then runs on; TERM ends its shell.
RUNS_ON = "sleep 60 & echo $$ $!; wait"
STUBBORN = f"trap '' TERM; {RUNS_ON}"


def open_frame(script):
    return frames.encode(0, frames.OPEN, json.dumps({"do": "exec", "argv": ["/bin/sh", "-c", script]}).encode())


def process_ids(output):
    return [int(word) for word in output.split()]


def has_ended(pid):
    """Whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def both_have_ended(pids):
    assert len(pids) == 2
    return all(has_ended(pid) for pid in pids)


def start_over_stream(agent, script=RUNS_ON):
    agent.open(5, "/bin/sh", "-c", script)
    return process_ids(agent.until(lambda: agent.received(5, frames.STDOUT)))


def start_over_socket(sock, script=RUNS_ON):
    sock.sendall(open_frame(script))
    received = []
    decoder = frames.Decoder(lambda *frame: received.append(frame))
    while not received:
        decoder.feed(sock.recv(4096))
    return process_ids(received[0][2])


@pytest.mark.parametrize("script", [RUNS_ON, STUBBORN])
def test_an_aborted_command_is_ended_with_its_children(start, script):
    agent = start()
    pids = start_over_stream(agent, script)
    started = time.monotonic()
    agent.send(5, frames.ABORT)
    assert agent.end_of(5)["signal"] in {9, 15}
    agent.until(lambda: both_have_ended(pids), 4)
    assert (time.monotonic() - started > 1) == (script is STUBBORN)


def test_a_command_ends_with_its_connection(an_agent):
    with an_agent.connect() as sock:
        pids = start_over_socket(sock)
    an_agent.until(lambda: both_have_ended(pids), 4)
    an_agent.until(lambda: an_agent.children() == 0)


@pytest.mark.parametrize("how", ["its stream ends", "it is told on a socket", "it is told on its stream"])
def test_the_agent_ends_with_all_commands(start, how):
    agent = start()
    assert len(list(agent.memory.iterdir())) == 1
    stream_pids = start_over_stream(agent, STUBBORN)
    with agent.connect() as sock, agent.connect() as other:
        socket_pids = start_over_socket(sock)
        if how == "its stream ends":
            agent.process.stdin.close()
        elif how == "it is told on a socket":
            other.sendall(frames.encode(0, frames.END))
        else:
            agent.send(0, frames.END)
        assert agent.wait(4) == 0
    agent.until(lambda: both_have_ended(stream_pids) and both_have_ended(socket_pids), 1)
    with pytest.raises(ConnectionRefusedError):
        agent.connect().close()
    assert list(agent.memory.iterdir()) == []
    assert agent.received(5, frames.EXIT) == b""


def test_an_idle_agent_ends_at_once(start):
    agent = start()
    agent.process.stdin.close()
    assert agent.wait(0.9) == 0
    assert agent.process.stderr.read() == b""


def test_the_end_of_a_connection_is_seen_despite_unread_input(an_agent):
    """Its connection accepts no more data once much is unread."""
    with an_agent.connect() as sock:
        pids = start_over_socket(sock)
        sock.settimeout(0.3)
        piece = frames.encode(0, frames.STDIN, bytes(frames.PIECE))
        with pytest.raises(TimeoutError):
            sock.sendall(piece * 100)
    an_agent.until(lambda: both_have_ended(pids), 4)


def test_the_end_of_the_agent_stream_is_seen_despite_unread_input(start):
    agent = start(listen=False)
    assert agent.about["no_socket"] == "not requested"
    pids = start_over_stream(agent)
    for _ in range(9):  # more than the agent buffers, but it reads all of it
        agent.send(5, frames.STDIN, bytes(frames.PIECE))
    agent.process.stdin.close()
    agent.wait(4)
    agent.until(lambda: both_have_ended(pids), 1)


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
        open_frame("sleep 60") * 2,
    ],
    ids=["no frame", "HTTP", "no JSON", "no text", "no object", "deep JSON", "too large", "a channel twice"],
)
def test_garbage_closes_only_its_own_connection(an_agent, garbage):
    with an_agent.connect() as other, an_agent.connect() as sock:
        pids = start_over_socket(other)
        sock.sendall(garbage)
        assert sock.recv(1) == b""
        assert an_agent.sh("echo still there").stdout == b"still there\n"
        assert not any(map(has_ended, pids))


def test_frames_without_meaning_are_ignored(agent):
    with agent.connect() as sock:
        for kind in (frames.STDIN, frames.ABORT, frames.EXIT, 77):
            sock.sendall(frames.encode(3, kind, b"x"))
        assert len(start_over_socket(sock)) == 2


@pytest.mark.parametrize("request_", [{"do": "dance"}, {}, {"do": "exec"}, {"do": "exec", "argv": ["a\0b"]}])
def test_an_invalid_request_fails_only_its_command(an_agent, request_):
    result = an_agent.run(request_)
    assert result.code == 1
    assert b"Error" in result.stderr


def test_an_agent_that_cannot_start_a_command_reports_it_and_continues(start):
    agent = start()
    resting = agent.idle_descriptors()
    _, hard = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (resting + 4, hard))
    agent.sh("true")  # on the child that was already waiting
    result = agent.sh("true")
    assert result.code == 126
    assert b"the agent cannot start a command: Too many open files" in result.stderr
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert agent.sh("echo again").stdout == b"again\n"


def test_an_agent_leaves_nothing_if_the_controller_disappears(start, payload):
    agent = start(sends=payload[:1000], ready=False)
    agent.process.stdin.close()
    assert agent.wait() == 1
    assert list(agent.memory.iterdir()) == []


def test_the_agent_starts_although_module_utils_reject_its_python(start, payload):
    """They write to standard output and exit, like those of a new ansible-core on an old Python."""
    archive = io.BytesIO(payload[8:])
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr("ansible/module_utils/common/aaa.py", "print('refused')\nraise SystemExit(1)\n")
    agent = start(sends=len(archive.getvalue()).to_bytes(8, "big") + archive.getvalue())
    assert agent.sh("echo fine").stdout == b"fine\n"
    result = agent.run({"do": "module", "interpreter": agent.python, "env": {}}, b"print('alone')")
    assert (result.code, result.stdout) == (0, b"alone\n")
