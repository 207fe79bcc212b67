"""Modules run with the mounted Python: all of them work with it, and no image contains it."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.image_archive import digest_file
from sdk_client import as_engine

from .conftest import DEMO, run_container
from .removal import remove_interpreter

ROLE = Path(__file__).parent / "roles/every_module"
FIND_PYTHON = ["find", "/", "-xdev", "-name", "python[23]*"]


def assert_modules_work(chain, parent):
    tier = "works"
    shutil.copytree(ROLE, chain.folder / "roles/every_module")
    chain.facts = ["!hardware"]
    # One of its files names the mounted Python, which is rejected unless the tier keeps the file.
    chain.tier(tier, parent=parent, role="every_module", keep=["etc/templated"]).build().expect()
    assert [name for name in file_names(chain, tier) if re.search(r"python[23-]|tierwright", name)] == []
    assert chain.run(tier, "cat", "/etc/templated") == f"{tier} runs in /dev/tierwright-python/bin/python3\n"
    assert chain.run(tier, "id", "-u", "worker") == "1234\n"
    assert chain.run(tier, "dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "hello") == "hi "
    assert chain.run(tier, "sh", "-c", "dpkg-query --show sl 2>/dev/null || echo gone") == "gone\n"
    assert chain.run(tier, "dpkg", "--get-selections", "hello").split() == ["hello", "hold"]


@pytest.mark.parametrize("tier", DEMO)
def test_no_image_of_the_demo_contains_python(demo, engine, tier):
    assert run_container(engine, demo[tier].id, FIND_PYTHON, user="0", entrypoint=[]) == ""


@pytest.mark.once  # with the newest ansible-core, the next test shows it
def test_modules_work_in_an_image_without_python(small_chain):
    assert_modules_work(small_chain, "base")


@pytest.mark.by_newest
def test_modules_work_in_debian_13(small_chain):
    assert_modules_work(small_chain.tier("thirteen", bootstrap={"suite": "trixie"}), "thirteen")


@pytest.mark.once
def test_a_role_can_install_python(small_chain):
    tasks = """
    - name: Install Python and packages for it
      ansible.builtin.apt:
        name: [python3-venv, python3-pip, python3-yaml]
        update_cache: true
        install_recommends: false
    - name: Put a wheel there
      ansible.builtin.copy: {src: hello-1-py3-none-any.whl, dest: /opt/, mode: "0644"}
    - name: Make a virtual environment
      ansible.builtin.pip:
        name: /opt/hello-1-py3-none-any.whl
        virtualenv: /opt/venv
        virtualenv_command: /usr/bin/python3 -m venv
    - name: Install for everybody
      ansible.builtin.pip: {name: /opt/hello-1-py3-none-any.whl, extra_args: --break-system-packages}
    - name: Look at this Python again
      ansible.builtin.setup: {gather_subset: [python]}
    - name: Use what is installed as modules do
      ansible.builtin.command:
        argv: ["{{ ansible_python_interpreter }}", -c, "import hello, yaml as y; print(y.__with_libyaml__, y.__file__)"]
      register: imported
      failed_when: imported.stdout != 'True /usr/lib/python3/dist-packages/yaml/__init__.py'
    - name: Make sure that modules name the Python that stays
      ansible.builtin.assert: {that: ansible_facts.python.executable == '/usr/bin/python3'}
    """
    small_chain.tier("snake", tasks, parent="base")
    # No Python is mounted if the tier uses the Python of its image.
    small_chain.tier("own", "- ansible.builtin.command: test ! -e /dev/tierwright-python\n", parent="snake")
    small_chain.tiers["own"]["tier_python_interpreter"] = "/usr/bin/python3"
    files = small_chain.folder / "roles/snake/files"
    files.mkdir()
    with zipfile.ZipFile(files / "hello-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hello.py", "")
        wheel.writestr("hello-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1\n")
        wheel.writestr("hello-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("hello-1.dist-info/RECORD", "")
    small_chain.build().expect()
    for tier in ("snake", "own"):
        assert small_chain.run(tier, "python3", "-c", "import hello, yaml, sys; print(sys.prefix)") == "/usr\n"
        assert (
            small_chain.run(tier, "/opt/venv/bin/python", "-c", "import hello, sys; print(sys.prefix)") == "/opt/venv\n"
        )
        assert [name for name in file_names(small_chain, tier) if "tierwright" in name] == []


@pytest.mark.once
def test_a_base_without_apt_is_rejected(small_chain):
    archive = small_chain.folder / "bare.tar"
    with tarfile.open(archive, "w") as tar:
        add_file(tar, "usr/lib/os-release", b"ID=debian\n")
    small_chain.tier("bare", config={"cmd": []}, **{"import": tier_import(archive)}).tier("one", "[]", parent="bare")
    failed = small_chain.build().expect(2)
    assert "tier 'one': its base is of the Debian family, but it does not contain /usr/bin/apt-get" in failed.message
    assert "set tier_python_interpreter to a Python that the image has" in failed.message


@pytest.mark.once
def test_unreachable_archives_are_reported(small_chain, engine, rootfs):
    archive = small_chain.folder / "away.tar"
    archive.write_bytes(Path(rootfs["archive"]).read_bytes())
    with tarfile.open(archive, "a") as tar:
        add_file(tar, "etc/apt/apt.conf.d/away", b'Dir::Etc::SourceList "away.list";\n')
        add_file(tar, "etc/apt/away.list", b"deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n")
    small_chain.tier("away", **{"import": tier_import(archive)}).tier("one", "[]", parent="away")
    before = set(python_volumes(engine))
    failed = small_chain.build().expect(2)
    assert "tier 'one': making the Python that modules run with, from its base sha256:" in failed.message
    assert "Failed to fetch http://127.0.0.1:9/debian" in failed.message
    assert set(python_volumes(engine)) == before


@pytest.fixture
def quick_install(monkeypatch):
    """An install script that takes one second, and makes interpreters that no other test uses."""
    monkeypatch.setattr(mounted_python, "_install_script", lambda: "sleep 1; mkdir $1/bin; echo whole > $1/bin/python3")


@pytest.mark.once
@pytest.mark.usefixtures("quick_install")
def test_concurrent_runs_make_one_interpreter(engine, demo_base):
    parent = as_engine(engine).images.get(demo_base.id)
    messages = []

    def make(run):
        return mounted_python.ensure(as_engine(engine), tier="one", parent_image=parent, run=run, say=messages.append)

    try:
        with ThreadPoolExecutor() as pool:
            interpreters = set(pool.map(make, ["run-a", "run-b", "run-c"]))
        assert len(interpreters) == 1
        assert len(messages) == 3
        assert interpreters == {make("run-d")}
        assert len(messages) == 3
        for run in ("run-a", "run-b", "run-c"):
            mounted_python.clear(as_engine(engine), run)  # a complete interpreter outlives its run
        assert {
            name
            for name in python_volumes(engine)
            if name.startswith(mounted_python.volume_name(python_source(parent)))
        } == {
            mounted_python.volume_name(python_source(parent)),
            interpreters.pop().volume,
        }
    finally:
        remove_interpreter(engine, demo_base.id)


@pytest.mark.once
@pytest.mark.usefixtures("quick_install")
def test_incomplete_interpreters_are_removed_and_lost_ones_made_again(engine, demo_base):
    parent = as_engine(engine).images.get(demo_base.id)
    name = mounted_python.volume_name(python_source(parent))
    engine.volumes.create(f"{name}-half", labels={labels.PYTHON: name, labels.RUN: "run-killed"})
    try:
        first = mounted_python.ensure(as_engine(engine), tier="one", parent_image=parent, run="run-a", say=print)
        assert first.volume != f"{name}-half"
        mounted_python.clear(as_engine(engine), "run-killed")
        assert f"{name}-half" not in python_volumes(engine)
        engine.volumes.get(first.volume).remove()
        engine.volumes.create(first.volume)  # as an engine does for a container that mounts it
        second = mounted_python.ensure(as_engine(engine), tier="one", parent_image=parent, run="run-b", say=print)
        assert second.volume != first.volume
        engine.volumes.get(first.volume).remove()
    finally:
        remove_interpreter(engine, demo_base.id)


def file_names(chain, tier):
    """Names of all files in the image of a tier, including those below the mounts of an engine."""
    container = chain.engine.containers.create(chain.image(tier).id, command=["-"])
    try:
        with tarfile.open(fileobj=Chunks(container.export()), mode="r|") as tar:
            return [entry.name for entry in tar]
    finally:
        container.remove()


class Chunks(io.RawIOBase):
    """A readable file that consists of chunks."""

    def __init__(self, chunks):
        self._pieces, self._left = iter(chunks), b""

    def read(self, size=-1):
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        data, self._left = self._left[:size], self._left[size:]
        return data


def python_source(parent):
    return next(mounted_python.python_sources(parent))


def python_volumes(engine):
    return [volume.name for volume in engine.volumes.list(filters={"label": labels.PYTHON})]


def add_file(tar, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def tier_import(archive):
    return {"archive": str(archive), "checksum": digest_file(archive)}
