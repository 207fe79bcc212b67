"""The findings of `tierwright doctor`, and its advice."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.doctor import checks
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.doctor.checks import Finding, FindingState
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import About, System
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, EngineUnavailableError
from served import http_server

ABOUT = About("Docker", "28.5.2", "overlay2", rootless=False, folder="/", platform="linux/amd64")


@pytest.fixture
def examine(monkeypatch):
    """A function that examines an engine with these properties, and returns the findings by name."""

    def run(about=ABOUT, *, missing=(), address="unix:///x"):
        def report():
            if isinstance(about, Exception):
                raise about
            return about

        system = SimpleNamespace(about=report, missing_limits=lambda: list(missing))
        engine = SimpleNamespace(system=system, address=address, close=lambda: None)
        monkeypatch.setattr(checks, "connect", lambda _timeout: engine)
        return {finding.thing: finding for finding in checks.examine_engine()}

    return run


def test_an_engine_that_does_not_answer_is_the_only_finding(monkeypatch):
    def refuse(_timeout):
        raise EngineUnavailableError("no container engine answers at unix:///x; start one")

    monkeypatch.setattr(checks, "connect", refuse)
    [finding] = checks.examine_engine()
    assert (finding.state, finding.advice) == (
        FindingState.MISSING,
        "no container engine answers at unix:///x; start one",
    )


def test_a_good_engine_has_no_problems(examine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    findings = examine()
    assert {finding.state for finding in findings.values()} == {FindingState.WELL}
    assert findings["engine"].found == "Docker 28.5.2 at unix:///x"


def test_an_invalid_answer_is_reported(examine):
    findings = examine(EngineError("asking the engine what it is: its answer cannot be understood"))
    assert findings["engine"].state is FindingState.MISSING


@pytest.mark.parametrize(
    ("changes", "options", "thing", "words"),
    [
        ({"rootless": True}, {}, "engine's privileges", "rootless"),
        ({}, {"missing": ["memory", "processes"]}, "build limits", "cannot limit memory and processes"),
        ({}, {"address": "tcp://host:2375"}, "reading layers", "on another machine"),
        ({"folder": "/nowhere"}, {}, "reading layers", "does not report them"),
    ],
)
def test_limits_of_an_engine_are_reported(examine, changes, options, thing, words):
    finding = examine(msgspec.structs.replace(ABOUT, **changes), **options)[thing]
    assert finding.state is FindingState.LIMITED
    assert words in finding.found


def test_the_store_of_containerd_is_reported(examine):
    about = msgspec.structs.replace(ABOUT, store="overlayfs in containerd's store")
    assert "digests of manifests" in examine(about)["images"].found


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
def test_the_properties_of_an_engine_are_recognised(version, info, differs):
    answers = {"/version": version, "/info": info}
    about = System(SimpleNamespace(http=SimpleNamespace(json=answers.__getitem__))).about()
    assert about == msgspec.structs.replace(ABOUT, **differs)


@pytest.fixture
def examine_here(monkeypatch, tmp_path):
    """A function that examines this machine, and returns the findings by name."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with http_server(
        lambda path, _headers: (200 if path.endswith("/InRelease") else 404, {}, b"Origin: Debian")
    ) as host:
        monkeypatch.setattr(checks, "own_mirrors", lambda: {"archive": f"http://{host}/debian/"})
        yield lambda: {finding.thing: finding for finding in checks.examine_machine()}


def test_a_good_machine_has_no_problems(examine_here, monkeypatch):
    monkeypatch.setattr(checks.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _place: SimpleNamespace(free=5 << 30))
    findings = examine_here()
    assert {finding.state for finding in findings.values()} == {FindingState.WELL}
    assert findings["Python"].found == "{}.{}.{}".format(*sys.version_info)


def test_problems_of_a_machine_are_reported(examine_here, monkeypatch):
    def not_installed(_name):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(checks.shutil, "which", lambda _name: None)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _place: SimpleNamespace(free=1 << 20))
    monkeypatch.setattr(checks.metadata, "version", not_installed)
    monkeypatch.setattr(checks, "own_mirrors", lambda: {"archive": "http://127.0.0.1:1/debian"})
    monkeypatch.setattr(checks, "sys", SimpleNamespace(version_info=(3, 10, 1)))
    findings = examine_here()
    limited = {"mmdebstrap", "package archive", "state", "temporary files"}
    assert {thing for thing, finding in findings.items() if finding.state is FindingState.LIMITED} == limited
    assert {thing for thing, finding in findings.items() if finding.state is FindingState.MISSING} == {
        "Python",
        "ansible-core",
    }
    assert all(finding.advice for finding in findings.values())
    assert "Connection refused" in findings["package archive"].found


def test_an_ansible_core_that_is_too_old_is_reported(examine_here, monkeypatch):
    monkeypatch.setattr(checks.metadata, "version", lambda _name: "2.18.3")
    assert examine_here()["ansible-core"].advice == "install ansible-core 2.19 or later"


def test_a_state_folder_that_cannot_be_written_to_is_reported(examine_here, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    assert "XDG_STATE_HOME" in examine_here()["state"].advice


@pytest.mark.parametrize(
    ("states", "code", "last"),
    [
        ([FindingState.WELL], 0, "chains can be built here"),
        ([FindingState.WELL, FindingState.LIMITED], 0, "chains can be built here, within these limits"),
        ([FindingState.LIMITED, FindingState.MISSING], 1, "no chain can be built here"),
    ],
)
def test_the_command_reports_whether_chains_can_be_built(monkeypatch, states, code, last):
    findings = [Finding(f"thing {number}", state, "found", "do this") for number, state in enumerate(states)]
    monkeypatch.setattr(checks, "examine_engine", lambda: findings)
    monkeypatch.setattr(checks, "examine_machine", list)
    result = CliRunner().invoke(tierwright, ["doctor"])
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (code, last)
    result = CliRunner().invoke(tierwright, ["doctor", "--json"])
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["can_build"]) == (code, code == 0)
    assert [finding["state"] for finding in answer["findings"]] == states
