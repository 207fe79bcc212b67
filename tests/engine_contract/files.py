"""Files in containers and images."""

from __future__ import annotations

import io
import tarfile

from engine_contract.question import LABEL
from tiny_image import CONTENT, FILE, LINK


def test_files_can_be_read_from_a_container_and_from_an_image(sandbox):
    image = sandbox.load()
    container = sandbox.build_container(image.id)
    file = sandbox.engine.files.info(container.id, FILE)
    assert (file.target, file.changed is not None) == (None, True)
    assert sandbox.engine.files.info(container.id, LINK).target.endswith(FILE)
    assert sandbox.engine.files.info(container.id, "/nothing") is None
    assert sandbox.engine.files.holds(image.id, FILE)
    assert not sandbox.engine.files.holds(image.id, "/nothing")
    with (
        sandbox.engine.files.of_image(image.id, FILE) as pieces,
        tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar,
    ):
        assert tar.extractfile(tar.getmembers()[0]).read() == CONTENT
    assert len(sandbox.engine.containers.find(LABEL)) >= 1  # reading from an image leaves no container behind
    assert [container_id for container_id, _ in sandbox.engine.containers.find(sandbox.label)] == [container.id]


def test_the_changes_of_a_container_are_listed_and_exported(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    assert sandbox.run(container.id, "/bin/sh", "-c", "echo new > /new; /bin/rm /etc/greeting")[0] == 0
    assert {"/new", FILE} <= set(sandbox.engine.files.changed(container.id, "asking"))
    with sandbox.engine.files.exported(container.id) as content:
        after = _files(content)
    with sandbox.engine.files.started_from(sandbox.engine.containers.inspect(container.id)) as content:
        before = _files(content)
    assert after["new"] == b"new\n"
    assert FILE.lstrip("/") in before.keys() - after.keys()
    assert [container_id for container_id, _ in sandbox.engine.containers.find(sandbox.label)] == [container.id]


def _files(content):
    with tarfile.open(fileobj=io.BytesIO(b"".join(content))) as tar:
        return {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isreg()}
