"""What is in containers and images."""

from __future__ import annotations

import io
import tarfile

from engine_contract.question import LABEL
from tiny_image import CONTENT, FILE, LINK


def test_files_are_looked_at_in_a_container_and_in_an_image(asked):
    image = asked.load()
    made = asked.build_container(image.id)
    file = asked.engine.files.info(made.id, FILE)
    assert (file.target, file.changed is not None) == (None, True)
    assert asked.engine.files.info(made.id, LINK).target.endswith(FILE)
    assert asked.engine.files.info(made.id, "/nothing") is None
    assert asked.engine.files.holds(image.id, FILE)
    assert not asked.engine.files.holds(image.id, "/nothing")
    with (
        asked.engine.files.of_image(image.id, FILE) as pieces,
        tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar,
    ):
        assert tar.extractfile(tar.getmembers()[0]).read() == CONTENT
    assert len(asked.engine.containers.find(LABEL)) >= 1  # looking into an image leaves none behind
    assert [each for each, _ in asked.engine.containers.find(asked.label)] == [made.id]


def test_what_a_container_changed_is_told_and_exported(asked):
    made = asked.build_container(asked.load().id)
    assert asked.run(made.id, "/bin/sh", "-c", "echo new > /new; /bin/rm /etc/greeting")[0] == 0
    assert {"/new", FILE} <= set(asked.engine.files.changed(made.id, "asking"))
    with asked.engine.files.exported(made.id) as content:
        after = _files(content)
    with asked.engine.files.started_from(asked.engine.containers.inspect(made.id)) as content:
        before = _files(content)
    assert after["new"] == b"new\n"
    assert FILE.lstrip("/") in before.keys() - after.keys()
    assert [each for each, _ in asked.engine.containers.find(asked.label)] == [made.id]


def _files(content):
    with tarfile.open(fileobj=io.BytesIO(b"".join(content))) as tar:
        return {each.name.removeprefix("./"): tar.extractfile(each).read() for each in tar if each.isreg()}
