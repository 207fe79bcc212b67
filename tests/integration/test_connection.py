"""What a role may do through the connection: the ways in which Ansible uses one, and what is left behind."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible.module_utils.common.text import formatters

from .conftest import run_container
from .containers import PYTHON, Playbook, Target, build_container, plain_container, run_inside

DATA = Path(__file__).parent / "connection"

#: Differs between two runs of anything, or says where Ansible runs.
ANYTHING = {
    "ansible_job_id", "atime", "cache_update_time", "ctime", "delta", "end", "finished_on", "inode", "invocation", "jid",
    "mtime", "results_file", "start", "dev", "block_size", "blocks", "nlink", "version", "device_type", "diff", "dest",
    "elapsed", "child_pid", "frame", "ansible_python_version", "exception", "warnings", "cache_updated", "stdout_lines",
    "stderr_lines", "src", "attempts", "module_stdout",
}  # fmt: skip


@pytest.fixture(scope="session")
def image(demo: dict[str, Any], engine: docker.DockerClient) -> Iterator[str]:
    """An image with what the tests of the connection need besides a base."""
    install = "apt-get -qq update && apt-get -qq install --no-install-recommends python3 python3-apt sudo >/dev/null"
    container = engine.containers.create(demo["base"].id, ["sh", "-c", install], environment={"DEBIAN_FRONTEND": "noninteractive"})
    try:
        container.start()
        assert container.wait(timeout=300)["StatusCode"] == 0, container.logs().decode()
        made = container.commit(changes=["CMD []"]).id
    finally:
        container.remove(v=True, force=True)
    yield made
    engine.images.remove(made, force=True)


@pytest.fixture
def target(image: str, engine: docker.DockerClient, playbook: Playbook) -> Iterator[Target]:
    """A build container."""
    with build_container(engine, playbook, image) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The behaviour playbook with its modules, and files for it to work on."""
    shutil.copytree(DATA, tmp_path / "behaviour")
    overridden = tmp_path / "behaviour/module_utils/common/text/formatters.py"
    overridden.parent.mkdir(parents=True)
    overridden.write_text(Path(formatters.__file__).read_text() + "\nMARK = 'overridden'\n")
    scratch = tmp_path / "behaviour/scratch"
    (scratch / "folder/deep").mkdir(parents=True)
    (scratch / "folder/deep/one").write_text("one")
    (scratch / "folder/two").write_bytes(bytes(range(256)))
    (scratch / "bytes.bin").write_bytes(bytes(range(256)) * 12_000)
    with tarfile.open(scratch / "archive.tar", "w") as tar:
        entry = tarfile.TarInfo("unpacked/file")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    return tmp_path / "behaviour"


def report_of(folder: Path, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / name).read_text())
    fetched = (folder / "scratch/fetched.bin").read_bytes()
    assert fetched == (folder / "scratch/bytes.bin").read_bytes()
    return {key: comparable(value) for key, value in told.items()}


def comparable(value: Any) -> Any:
    """A result without what differs between any two runs."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items() if key not in ANYTHING}
    if isinstance(value, list):
        return [comparable(each) for each in value]
    return value


def test_everything_is_as_over_local_in_a_plain_container(target, folder, image, engine):
    known = {"scratch": str(folder / "scratch"), "interpreter": PYTHON}
    with plain_container(engine, image, folder) as plain:
        local = {
            **known,
            "report": str(folder / "local.json"),
            "ansible_connection": "local",
            "ansible_pipelining": True,
            "ansible_python_interpreter": PYTHON,
            "ansible_remote_tmp": "/dev/tierwright",
        }
        inside = run_inside(plain, folder, "behaviour.yml", "--inventory", "test,", "--extra-vars", json.dumps(local))
        assert (folder / "local.json").exists(), inside.output
        expected = report_of(folder, "local.json")
    ours = {**known, "report": str(folder / "ours.json"), "ansible_remote_tmp": "/dev/tierwright"}
    done = target.playbook("behaviour.yml", *target.inventory(folder, ours), cwd=folder, env=CONFIG)
    assert (folder / "ours.json").exists(), done.output
    found = report_of(folder, "ours.json")
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        assert found[name] == value, name
    # Not equal to each other by both being wrong.
    assert found["status"]["rc"] == 7
    assert found["become_sudo"]["stdout"].split() == ["worker", "worker", "games", "/home/worker", "kept"]
    assert found["other_utils"]["mark"] == "overridden"
    assert found["timed_out"]["failed"]
    assert found["remote_tmp_script"]["stdout"].split() == ["there"]
    assert found["apt"]["changed"]
    failing = [name for name, value in found.items() if value.get("failed")]
    assert failing == EXPECTED_FAILURES


CONFIG = {"ANSIBLE_CONFIG": str(Path(__file__).parents[2] / "ansible.cfg")}
EXPECTED_FAILURES = [
    "status", "status_255",
]  # fmt: skip
