"""Commands in containers."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import Frames, Output
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContainerGoneError, EngineError


def test_streams_and_status_are_kept_apart(asked):
    made = asked.build_container(asked.load().id)
    line = "echo out; echo err >&2; exit 7"
    assert asked.run(made.id, "/bin/sh", "-c", line) == (7, b"out\n", b"err\n")


def test_a_command_reads_all_of_its_input_and_sees_its_end(asked):
    made = asked.build_container(asked.load().id)
    much = secrets.token_bytes(300_000)
    assert asked.run(made.id, "/bin/cat", stdin=much) == (0, much, b"")


def test_a_program_that_is_missing_is_told_by_status_or_by_refusal(asked):
    made = asked.build_container(asked.load().id)
    codes = []
    with contextlib.suppress(EngineError):
        codes.append(asked.run(made.id, "/bin/nothing")[0])
    assert set(codes) <= {126, 127}
    assert asked.engine.containers.inspect(made.id).running


def test_a_command_in_a_container_that_has_ended_or_is_gone_is_told_as_that(asked):
    made = asked.build_container(asked.load().id)
    assert not asked.engine.exec.ends(made.id)
    asked.engine.containers.end(made.id)
    assert asked.engine.exec.ends(made.id)
    with pytest.raises(ContainerGoneError, match=r"is (exited|stopped) \(exit status"):
        asked.run(made.id, "/bin/cat")
    asked.engine.containers.remove(made.id)
    with pytest.raises(ContainerGoneError, match="does not exist any more; it was removed"):
        asked.run(made.id, "/bin/cat")


def test_an_attached_command_gives_its_frames_and_its_status(asked):
    made = asked.build_container(asked.load().id)
    output = Output()
    frames = Frames(output.take)
    with asked.engine.exec.attach(made.id, ["/bin/sh", "-c", "echo out; exit 5"], "0:0") as command:
        frames.feed(command.ahead)
        while data := command.socket.recv(1 << 16):
            frames.feed(data)
        assert bytes(output.stdout) == b"out\n"
    assert command.status() in {5, None}  # an engine may learn of the end a moment later


def test_the_user_of_a_container_is_its_image_s(asked):
    image = asked.load(User="7:8")
    assert asked.engine.exec.user_of(asked.start(image.id)) == "7:8"
    assert asked.engine.exec.user_of(asked.build_container(image.id).id) in {"0:0", "7:8"}
