"""What `tierwright doctor` finds, and what it says to do about it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.doctor import checks
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.doctor.checks import Finding, FindingState
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import About, System
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, EngineUnavailableError

ABOUT = About("Docker", "28.5.2", "overlay2", rootless=False, folder="/", platform="linux/amd64")


@pytest.fixture
def examined(monkeypatch):
    """Examine an engine that says this of itself, by thing."""

    def run(about=ABOUT, *, missing=(), address="unix:///x"):
        def say():
            if isinstance(about, Exception):
                raise about
            return about

        system = SimpleNamespace(about=say, missing_limits=lambda: list(missing))
        told = SimpleNamespace(system=system, address=address, close=lambda: None)
        monkeypatch.setattr(checks, "connect", lambda _timeout: told)
        return {each.thing: each for each in checks.examine_engine()}

    return run


def test_an_engine_that_does_not_answer_is_all_that_is_said_of_it(monkeypatch):
    def refuse(_timeout):
        raise EngineUnavailableError("no container engine answers at unix:///x; start one")

    monkeypatch.setattr(checks, "connect", refuse)
    [found] = checks.examine_engine()
    assert (found.state, found.advice) == (FindingState.MISSING, "no container engine answers at unix:///x; start one")


def test_an_engine_as_it_should_be(examined, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = examined()
    assert {each.state for each in found.values()} == {FindingState.WELL}
    assert found["engine"].found == "Docker 28.5.2 at unix:///x"


def test_an_answer_that_is_none_is_told(examined):
    found = examined(EngineError("asking the engine what it is: its answer cannot be understood"))
    assert found["engine"].state is FindingState.MISSING


@pytest.mark.parametrize(
    ("said", "more", "thing", "words"),
    [
        ({"rootless": True}, {}, "engine's rights", "rootless"),
        ({}, {"missing": ["memory", "processes"]}, "limits of builds", "cannot limit memory and processes"),
        ({}, {"address": "tcp://host:2375"}, "reading layers", "on another machine"),
        ({"folder": "/nowhere"}, {}, "reading layers", "does not tell where"),
    ],
)
def test_what_an_engine_lacks_is_told(examined, said, more, thing, words):
    found = examined(dataclasses.replace(ABOUT, **said), **more)[thing]
    assert found.state is FindingState.LIMITED
    assert words in found.found


def test_containerd_s_store_is_told(examined):
    about = dataclasses.replace(ABOUT, store="overlayfs in containerd's store")
    assert "digests of manifests" in examined(about)["images"].found


VERSION = {"Version": "28.5.2", "ApiVersion": "1.51", "Os": "linux", "Arch": "amd64"}
CONTAINERD = {
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "SecurityOptions": ["name=seccomp", "name=rootless"],
    "DockerRootDir": "/d",
}


@pytest.mark.parametrize(
    ("version", "info", "differs"),
    [
        (VERSION, {"Driver": "overlay2", "DockerRootDir": "/"}, {}),
        (VERSION, CONTAINERD, {"store": "overlayfs in containerd's store", "rootless": True, "folder": "/d"}),
        (
            {**VERSION, "Components": [{"Name": "Podman Engine"}]},
            {"Driver": "overlay", "Rootless": True},
            {"product": "Podman", "store": "overlay", "rootless": True, "folder": ""},
        ),
    ],
)
def test_an_engine_says_what_it_is(version, info, differs):
    answers = {"/version": version, "/info": info}
    about = System(SimpleNamespace(http=SimpleNamespace(json=answers.__getitem__))).about()
    assert about == dataclasses.replace(ABOUT, **differs)


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Examine this machine, by thing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(
        checks.urllib.request.OpenerDirector, "open", lambda *_arguments, **_more: io.BytesIO(b"Origin: Debian")
    )
    return lambda: {each.thing: each for each in checks.examine_machine()}


def test_this_machine_is_as_it_should_be(here, monkeypatch):
    monkeypatch.setattr(checks.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _place: SimpleNamespace(free=5 << 30))
    found = here()
    assert {each.state for each in found.values()} == {FindingState.WELL}
    assert found["Python"].found == "{}.{}.{}".format(*sys.version_info)


def test_what_this_machine_lacks_is_told(here, monkeypatch):
    def none(_name):
        raise metadata.PackageNotFoundError

    def silent(*_arguments, **_more):
        raise OSError("no route to host")

    monkeypatch.setattr(checks.shutil, "which", lambda _name: None)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _place: SimpleNamespace(free=1 << 20))
    monkeypatch.setattr(checks.metadata, "version", none)
    monkeypatch.setattr(checks.urllib.request.OpenerDirector, "open", silent)
    monkeypatch.setattr(checks, "sys", SimpleNamespace(version_info=(3, 10, 1)))
    found = here()
    limited = {"mmdebstrap", "archive of packages", "state", "temporary files"}
    assert {thing for thing, each in found.items() if each.state is FindingState.LIMITED} == limited
    assert {thing for thing, each in found.items() if each.state is FindingState.MISSING} == {"Python", "ansible-core"}
    assert all(each.advice for each in found.values())
    assert "no route to host" in found["archive of packages"].found


def test_an_ansible_core_that_is_too_old_is_told(here, monkeypatch):
    monkeypatch.setattr(checks.metadata, "version", lambda _name: "2.18.3")
    assert here()["ansible-core"].advice == "take 2.19 or later"


def test_a_state_folder_that_cannot_be_written_to_is_told(here, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    assert "XDG_STATE_HOME" in here()["state"].advice


@pytest.mark.parametrize(
    ("states", "code", "last"),
    [
        ([FindingState.WELL], 0, "chains can be built here"),
        ([FindingState.WELL, FindingState.LIMITED], 0, "chains can be built here, within these limits"),
        ([FindingState.LIMITED, FindingState.MISSING], 1, "no chain can be built here"),
    ],
)
def test_the_command_says_whether_chains_can_be_built(monkeypatch, states, code, last):
    findings = [Finding(f"thing {number}", state, "found", "do this") for number, state in enumerate(states)]
    monkeypatch.setattr(checks, "examine_engine", lambda: findings)
    monkeypatch.setattr(checks, "examine_machine", list)
    done = CliRunner().invoke(tierwright, ["doctor"])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (code, last)
    done = CliRunner().invoke(tierwright, ["doctor", "--json"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["can_build"]) == (code, code == 0)
    assert [each["state"] for each in told["findings"]] == states
