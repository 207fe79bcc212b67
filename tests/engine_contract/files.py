"""Files in containers and images."""

from __future__ import annotations

import io
import tarfile

from engine_contract.question import LABEL
from tiny_image import CONTENT, FILE, LINK


def test_files_can_be_read_from_a_container_and_from_an_image(asked):
    image = asked.load()
    container = asked.build_container(image.id)
    file = asked.engine.files.info(container.id, FILE)
    assert (file.target, file.changed is not None) == (None, True)
    assert asked.engine.files.info(container.id, LINK).target.endswith(FILE)
    assert asked.engine.files.info(container.id, "/nothing") is None
    assert asked.engine.files.holds(image.id, FILE)
    assert not asked.engine.files.holds(image.id, "/nothing")
    with (
        asked.engine.files.of_image(image.id, FILE) as pieces,
        tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar,
    ):
        assert tar.extractfile(tar.getmembers()[0]).read() == CONTENT
    assert len(asked.engine.containers.find(LABEL)) >= 1  # reading from an image leaves no container behind
    assert [container_id for container_id, _ in asked.engine.containers.find(asked.label)] == [container.id]


def test_the_changes_of_a_container_are_listed_and_exported(asked):
    container = asked.build_container(asked.load().id)
    assert asked.run(container.id, "/bin/sh", "-c", "echo new > /new; /bin/rm /etc/greeting")[0] == 0
    assert {"/new", FILE} <= set(asked.engine.files.changed(container.id, "asking"))
    with asked.engine.files.exported(container.id) as content:
        after = _files(content)
    with asked.engine.files.started_from(asked.engine.containers.inspect(container.id)) as content:
        before = _files(content)
    assert after["new"] == b"new\n"
    assert FILE.lstrip("/") in before.keys() - after.keys()
    assert [container_id for container_id, _ in asked.engine.containers.find(asked.label)] == [container.id]


def _files(content):
    with tarfile.open(fileobj=io.BytesIO(b"".join(content))) as tar:
        return {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isreg()}
