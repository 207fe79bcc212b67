"""Commands in containers."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import Frames, Output
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContainerGoneError, EngineError


def test_output_streams_and_status_are_separate(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    line = "echo out; echo err >&2; exit 7"
    assert sandbox.run(container.id, "/bin/sh", "-c", line) == (7, b"out\n", b"err\n")


def test_a_command_reads_its_input_to_the_end(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    content = secrets.token_bytes(300_000)
    assert sandbox.run(container.id, "/bin/cat", stdin=content) == (0, content, b"")


def test_a_missing_program_gives_an_error_or_an_exit_status(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    codes = []
    with contextlib.suppress(EngineError):
        codes.append(sandbox.run(container.id, "/bin/nothing")[0])
    assert set(codes) <= {126, 127}
    assert sandbox.engine.containers.inspect(container.id).running


def test_a_command_in_an_ended_or_removed_container_is_an_error(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    assert not sandbox.engine.exec.ends(container.id)
    sandbox.engine.containers.end(container.id)
    assert sandbox.engine.exec.ends(container.id)
    with pytest.raises(ContainerGoneError, match=r"is (exited|stopped) \(exit status"):
        sandbox.run(container.id, "/bin/cat")
    sandbox.engine.containers.remove(container.id)
    with pytest.raises(ContainerGoneError, match="does not exist any more; it was removed"):
        sandbox.run(container.id, "/bin/cat")


def test_an_attached_command_returns_its_output_and_status(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    output = Output()
    frames = Frames(output.take)
    with sandbox.engine.exec.attach(container.id, ["/bin/sh", "-c", "echo out; exit 5"], "0:0") as command:
        frames.feed(command.ahead)
        while data := command.socket.recv(1 << 16):
            frames.feed(data)
        assert bytes(output.stdout) == b"out\n"
    assert command.status() in {5, None}  # an engine may notice the end a moment later


def test_a_container_has_the_user_of_its_image(sandbox):
    image = sandbox.load(User="7:8")
    assert sandbox.engine.exec.user_of(sandbox.start(image.id)) == "7:8"
    assert sandbox.engine.exec.user_of(sandbox.build_container(image.id).id) in {"0:0", "7:8"}
