"""Commands in containers."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import Frames, Output
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContainerGoneError, EngineError


def test_output_streams_and_status_are_separate(asked):
    container = asked.build_container(asked.load().id)
    line = "echo out; echo err >&2; exit 7"
    assert asked.run(container.id, "/bin/sh", "-c", line) == (7, b"out\n", b"err\n")


def test_a_command_reads_its_input_to_the_end(asked):
    container = asked.build_container(asked.load().id)
    content = secrets.token_bytes(300_000)
    assert asked.run(container.id, "/bin/cat", stdin=content) == (0, content, b"")


def test_a_missing_program_gives_an_error_or_an_exit_status(asked):
    container = asked.build_container(asked.load().id)
    codes = []
    with contextlib.suppress(EngineError):
        codes.append(asked.run(container.id, "/bin/nothing")[0])
    assert set(codes) <= {126, 127}
    assert asked.engine.containers.inspect(container.id).running


def test_a_command_in_an_ended_or_removed_container_is_an_error(asked):
    container = asked.build_container(asked.load().id)
    assert not asked.engine.exec.ends(container.id)
    asked.engine.containers.end(container.id)
    assert asked.engine.exec.ends(container.id)
    with pytest.raises(ContainerGoneError, match=r"is (exited|stopped) \(exit status"):
        asked.run(container.id, "/bin/cat")
    asked.engine.containers.remove(container.id)
    with pytest.raises(ContainerGoneError, match="does not exist any more; it was removed"):
        asked.run(container.id, "/bin/cat")


def test_an_attached_command_returns_its_output_and_status(asked):
    container = asked.build_container(asked.load().id)
    output = Output()
    frames = Frames(output.take)
    with asked.engine.exec.attach(container.id, ["/bin/sh", "-c", "echo out; exit 5"], "0:0") as command:
        frames.feed(command.ahead)
        while data := command.socket.recv(1 << 16):
            frames.feed(data)
        assert bytes(output.stdout) == b"out\n"
    assert command.status() in {5, None}  # an engine may notice the end a moment later


def test_a_container_has_the_user_of_its_image(asked):
    image = asked.load(User="7:8")
    assert asked.engine.exec.user_of(asked.start(image.id)) == "7:8"
    assert asked.engine.exec.user_of(asked.build_container(image.id).id) in {"0:0", "7:8"}
