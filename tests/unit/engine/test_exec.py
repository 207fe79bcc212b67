from __future__ import annotations

import socket
import struct
import threading

import docker.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import exec as execution
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.exec import _converse
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import Frames, Output
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContainerGoneError

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=300)), max_size=12)


def encode(frames):
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in frames)


def joined(frames, stream):
    return b"".join(data for number, data in frames if number == stream)


@given(FRAMES, st.lists(st.integers(1, 50), max_size=40))
def test_frames_are_assembled_from_pieces_of_any_size(frames, sizes):
    output, wire = Output(), encode(frames)
    reader = Frames(output.take)
    for size in [*sizes, len(wire)]:
        piece, wire = wire[:size], wire[size:]
        reader.feed(piece)
    assert bytes(output.stdout) == joined(frames, 1)
    assert bytes(output.stderr) == joined(frames, 2)


def test_empty_frames_are_ignored():
    output = Output()
    Frames(output.take).feed(struct.pack(">BxxxL", 1, 0) + encode([(1, b"x")]))
    assert bytes(output.stdout) == b"x"


def _peer(sock, received, answer, *, read=True):
    """Act as the engine: answer while reading, then close."""

    def play():
        for frame in answer:
            sock.sendall(frame)
        while read and (data := sock.recv(65536)):
            received.append(data)
        sock.close()

    thread = threading.Thread(target=play)
    thread.start()
    return thread


def test_much_input_and_output_flow_at_the_same_time():
    ours, theirs = socket.socketpair()
    received, output = [], Output()
    answer = [encode([(1, b"o" * 70_000), (2, b"e" * 70_000)])] * 20
    thread = _peer(theirs, received, answer)
    _converse(ours, iter([b"i" * 1_000_000, b"", b"j" * 1_000_000]), Frames(output.take).feed)
    thread.join()
    ours.close()
    assert b"".join(received) == b"i" * 1_000_000 + b"j" * 1_000_000
    assert len(output.stdout) == len(output.stderr) == 1_400_000


def test_a_command_need_not_read_its_input():
    ours, theirs = socket.socketpair()
    output = Output()
    thread = _peer(theirs, [], [encode([(1, b"done")])], read=False)
    _converse(ours, iter([b"x" * 65536] * 100), Frames(output.take).feed)
    thread.join()
    ours.close()
    assert bytes(output.stdout) == b"done"


class Engine:
    """Stands for a session and its ``api``: rejects every new exec, and returns the given answers about one."""

    def __init__(self, *, running=True, status=500, answers=()):
        self.api, self._running, self._status, self._answers = self, running, status, list(answers)

    def exec_create(self, *_arguments, **_options):
        response = type("Response", (), {"status_code": self._status, "reason": ""})()
        raise docker.errors.APIError("no", response=response, explanation="container state improper")

    def get(self, _path):
        return {"State": {"Running": self._running, "Status": "exited", "ExitCode": 137}}

    def exec_inspect(self, _exec_id):
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.mark.parametrize("status", [404, 409, 500])
def test_a_rejected_exec_reports_the_end_of_the_container(status):
    with pytest.raises(ContainerGoneError, match=r"build container it is exited \(exit status 137\)"):
        execution.Exec(Engine(running=False, status=status)).run("it", ["true"], take=Output().take)


def test_the_end_of_a_container_is_awaited_before_it_is_reported(monkeypatch):
    states = iter([("stopping", 0), ("stopped", 137), ("exited", 137)])

    def inspect(_session, _container):
        status, code = next(states)
        return {"State": {"Running": False, "Status": status, "ExitCode": code}}

    monkeypatch.setattr(execution, "inspect_container", inspect)
    assert execution.Exec(Engine()).why_gone("it") == "build container it is exited (exit status 137)"


def test_a_container_that_does_not_end_is_reported_as_it_is(monkeypatch):
    monkeypatch.setattr(execution, "_ENDING_SECONDS", 0.05)
    monkeypatch.setattr(execution, "inspect_container", lambda *_: {"State": {"Status": "stopping", "ExitCode": 0}})
    assert execution.Exec(Engine()).why_gone("it") == "build container it is stopping (exit status 0)"


def test_a_rejected_exec_in_a_running_container_is_an_engine_error(monkeypatch):
    monkeypatch.setattr(execution, "_ENDING_SECONDS", 0.05)
    with pytest.raises(execution.EngineError, match="container state improper") as raised:
        execution.Exec(Engine(running=True)).run("it", ["true"], take=Output().take)
    assert not isinstance(raised.value, ContainerGoneError)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([{"Running": False, "ExitCode": 7}], 7),
        ([{"Running": True, "ExitCode": None}, {"Running": False, "ExitCode": 7}], 7),
        ([{"Running": True, "ExitCode": 0}, {"Running": False, "ExitCode": 7}], 7),
        ([{"Running": True, "ExitCode": 0}], None),  # from a restarted service
    ],
)
def test_a_command_that_is_still_running_has_no_status(monkeypatch, answers, status):
    monkeypatch.setattr(execution, "_ENDING_SECONDS", 0.2)
    assert execution.Exec(Engine(answers=answers))._status("it", "exec") == status
