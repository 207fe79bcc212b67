"""Contracts and protected paths travel with a published image, also to tiers that never saw the inventory of its team.

Chain `upstream`: base, core (operations), mid. Chain `downstream` follows mid, and never had core in its inventory.
"""

from __future__ import annotations

import secrets
import socketserver
import subprocess
import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import sandbox
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import GateSubject, run_suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import RoleTests, Suite
from sdk_client import as_engine

pytestmark = pytest.mark.once

CORE = """
    import pytest
    from helper import BANNER

    @pytest.mark.contract
    def test_banner(host):
        assert host.file("/etc/motd").content_string == BANNER

    @pytest.mark.contract
    def test_web_is_not_broken(host):
        assert not host.file("/etc/broken").exists, "it is broken"
"""
MID = """
    import pytest

    @pytest.mark.contract
    def test_mid_is_there(host):
        assert host.file("/etc/mid").content_string == "mid\\n"
"""
CONFTEST = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
"""


def write(path):
    return f"- name: Write\n  ansible.builtin.raw: echo {{{{ inventory_hostname }}}} > {path}\n"


@pytest.fixture(scope="module")
def upstream(make_chain, registry, tmp_path_factory):
    """The published chain of another team."""
    host = registry.replace("localhost", "127.0.0.1")
    with make_chain(tmp_path_factory.mktemp("upstream")) as chain:
        place = f"{host}/{chain.name}"
        motd = "- name: Greet\n  ansible.builtin.raw: printf ours > /etc/motd\n"
        chain.tier("core", motd, parent="base", protects=["/etc/motd"], image=f"{place}/core").tests("core", CORE)
        (chain.folder / "roles/core/tests/helper.py").write_text("BANNER = 'ours'\n")
        (chain.folder / "roles/core/tests/conftest.py").write_text(CONFTEST)
        chain.tier("mid", write("/etc/mid"), parent="core", image=f"{place}/mid").tests("mid", MID)
        chain.build("-e", "tier_publish=true").expect()
        yield chain


@pytest.fixture
def downstream(upstream, small_chain):
    """A chain that follows the last tier of the other."""
    del small_chain.tiers["base"]
    small_chain.tiers["mid"] = {"tier_follow": {"image": upstream.tiers["mid"]["tier_image"], "tag": "latest"}}
    small_chain.build(playbook="playbooks/update.yml").expect()
    return small_chain


def test_the_contracts_of_all_ancestors_are_tested_and_a_failure_names_its_owner(downstream):
    lock = (downstream.folder / "chain.lock").read_text()
    assert "tier: core" in lock
    downstream.tier("web", write("/etc/web"), parent="mid")
    downstream.tier("bad", write("/etc/broken"), parent="mid")
    failed = downstream.build().expect(2)
    assert "tier 'bad' is rejected: 1 of 3 tests fail" in failed.output
    assert "/core@sha256:" in failed.output
    assert "test_it.py::test_web_is_not_broken (of tier 'core', team operations)" in failed.output
    assert "it is broken" in failed.output
    assert "those of other teams run only in a sandbox" in failed.output
    again = downstream.build("--limit", "web").expect()
    assert "rejected" not in again.output
    assert downstream.released("web")


def test_protected_paths_of_an_ancestor_that_was_never_here_are_protected(downstream):
    downstream.tier("greedy", write("/etc/motd"), parent="mid")
    failed = downstream.build().expect(2)
    assert "tier 'greedy': its role changed protected paths: /etc/motd (changed" in failed.message
    assert "only tier 'core' of team operations may write /etc/motd" in failed.message


#: What contract code of others must not find or do. Each test passes if it fails to.
CURIOUS = r"""
    import gc, os, socket, subprocess
    from pathlib import Path

    import pytest

    pytestmark = pytest.mark.contract

    def link():
        return next(each for each in gc.get_objects() if type(each).__name__ == "BrokerLink")

    def test_the_environment_is_empty():
        assert set(os.environ) <= {"HOME", "LANG", "PATH", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_CURRENT_TEST",
                                   "PYTHONDONTWRITEBYTECODE", "PYTEST_VERSION"}
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                assert b"CANARY" not in environ.read_bytes()
            except PermissionError:
                pass

    def test_it_is_nobody_without_capabilities():
        status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
        assert os.getuid() == 65534
        assert [int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
        assert status["NoNewPrivs"].strip() == "1"

    def test_no_files_of_the_controller():
        for path in (CONTROLLER, "/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"):
            assert not os.path.exists(path), path
        with pytest.raises(PermissionError):
            os.listdir("/root")
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        places = {fields[4] for fields in mounts if fields[4].count("/") == 1 or "tierwright" in fields[4]}
        assert places <= {"/", "/proc", "/dev", "/sys", "/tmp", "/dev/tierwright-python"}

    def test_nothing_is_writable():
        for path in ("/x", "/etc/x", "/dev/tierwright-python/x", "/root/x", "/var/tmp/x"):
            with pytest.raises(OSError):
                Path(path).write_text("x")
        Path("/tmp/x").write_text("x")

    def test_no_network():
        assert os.listdir("/sys/class/net") == ["lo"]
        for address in (("127.0.0.1", PORT), ("10.0.0.1", 80), ("1.1.1.1", 443)):
            with pytest.raises(OSError):
                socket.create_connection(address, 2).close()

    @pytest.mark.parametrize("container", [OTHER, "/", "../../images/json?", ""])
    @pytest.mark.parametrize("operation", ["run", "logs", "state", "processes", "stop", "remove"])
    def test_no_other_containers(host, operation, container):
        arguments = {"argv": ["id"], "lines": 1, "timeout": 1}
        with pytest.raises(Exception, match="is not a container of these tests|cannot do this"):
            link().call(operation, container=container, **arguments)

    @pytest.mark.parametrize("operation", ["pull", "close", "__class__", "_start", "exec"])
    def test_no_other_operations(operation):
        with pytest.raises(Exception, match="there is no operation"):
            link().call(operation)

    def test_no_other_images(start):
        for image in ("../x", OTHER_IMAGE):
            with pytest.raises(BaseException, match="has no neighbour"):
                start(image)

    def test_no_mounts(start):
        with pytest.raises(TypeError):
            start(mounts=["/:/host"])
        info = link().call("start", tier=None, env={}, alias=None, user="0", command=["sleep", "9"], mounts=["/"],
                           privileged=True)
        assert link().call("run", container=info["id"], argv=["ls", "/host"])[0] != 0

    def test_an_ended_container_is_not_this_machine(start):
        web = start(command=["true"])
        web.wait_ended()
        with pytest.raises(OSError, match="has no address"):
            web.http(port=PORT)

    def test_the_idle_container_is_not_this_machine(host):
        host.run("true")
        idle = link().call("idle")["id"]
        request = {"method": "GET", "path": "/", "port": PORT, "headers": {}, "body": None, "timeout": 2}
        with pytest.raises(OSError, match="has no address"):
            link().call("send", container=idle, request=request)

    def test_containers_do_not_reach_this_machine(start):
        web = start(command=["sleep", "60"])
        gateway = web.address.rpartition(".")[0] + ".1"
        for address in (gateway, *ADDRESSES):
            script = f"exec 3<>/dev/tcp/{address}/{OPEN_PORT}"
            assert web.host.run("timeout 2 bash -c %s", script).rc != 0, address

    @pytest.mark.network
    def test_outside():
        assert False, "this test must be skipped"

    def test_but_the_image_can_be_tested(host, image, start):
        assert host.check_output("id -u") == "0"
        assert host.file("/etc/os-release").contains("Debian")
        assert image.tier == "web"
        assert image.layers
        web = start(command=["sh", "-c", "echo up; sleep 60"], env={"A": "1"})
        web.wait(lambda: "up" in web.logs())
        assert web.host.check_output("echo $A") == "1"
        assert any("sleep 60" in process.command for process in web.processes())
        with pytest.raises(OSError, match="Connection refused"):
            web.http(port=1)
        assert web.stop(timeout=1).exit_code is not None
"""


@pytest.fixture
def run(tmp_path, demo_base):
    """A function that runs tests as the contract of another team on the demo base."""

    def run(*texts, timeout=100, **values):
        suite = []
        for number, text in enumerate(texts):
            folder = tmp_path / f"tests-{number}-{secrets.token_hex(2)}"
            folder.mkdir()
            constants = "".join(f"{name} = {value!r}\n" for name, value in values.items())
            body = "\n".join(line.removeprefix("    ") for line in text.splitlines())
            (folder / "test_it.py").write_text(constants + body)
            suite.append(RoleTests(f"core{number}", "operations", str(folder), "registry.example.org/core@sha256:1"))
        subject = GateSubject("web", demo_base.id, {}, "20261124T093000Z-1b2c3d4e")
        return run_suite(Suite(None, tuple(suite)), subject, timeout)

    return run


def addresses():
    """The addresses of this machine."""
    lines = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    return [address for address in lines if ":" not in address]


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def listener(request):
    """A server on this machine that nobody may reach."""
    with socketserver.TCPServer((request.param, 0), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_contract_code_of_others_finds_nothing_and_still_tests_the_image(
    run, engine, monkeypatch, tmp_path, listener, demo_base
):
    monkeypatch.setenv("CANARY", "CANARY-secret")
    reachable = not as_engine(engine).kind.machine_outside  # then containers reach this machine
    other = engine.containers.create(demo_base.id, ["sleep", "60"])
    try:
        other.start()
        verdict = run(
            CURIOUS,
            CONTROLLER=str(tmp_path),
            PORT=listener,
            OPEN_PORT=1 if reachable else listener,
            ADDRESSES=addresses(),
            OTHER=other.id,
            OTHER_IMAGE="corebuild:latest",
        )
        other.reload()
        assert other.status == "running"
    finally:
        other.remove(force=True)
    assert [(failure.test, failure.message) for failure in verdict.failed] == []
    assert verdict.tests > 30
    assert "registry.example.org/core@sha256:1:test_it.py::test_no_network" in dict(verdict.ran)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("os.write(link()._write.__closure__[0].cell_contents.fileno(), b'x' * 99999)", "sent what no sandbox sends"),
        ("link().send(77, 'x')", "a message of kind 77"),
        ("link().send(2, {'tests': 'many'})", "sent what no sandbox sends"),
        ("link()._write(bytes.fromhex('00000001' '01' '00000000') * 9999)", "calls at the same time"),
        ("os._exit(0)", "ended with status -1"),
        ("os.kill(os.getpid(), 9)", "ended with status -1"),
        ("x = [bytearray(1 << 26) for _ in range(99)]", "MemoryError|ended with status -1"),
        ("while True: os.fork()", "BlockingIOError|ended with status -1"),
    ],
)
def test_a_sandbox_that_misbehaves_is_a_failure_of_its_owner(run, how, message):
    text = f"""
    import gc, os, pytest

    def link():
        return next(each for each in gc.get_objects() if type(each).__name__ == "BrokerLink")

    @pytest.mark.contract
    def test_it(host):
        {how}
        assert False, "ended with status of its own"
    """
    good = "    import pytest\n\n    @pytest.mark.contract\n    def test_good(host): assert host.run('true').rc == 0\n"
    verdict = run(text, good)
    assert verdict.failed
    assert {failure.owner.tier for failure in verdict.failed} == {"core0"}
    assert [name.rpartition("::")[2] for name, _seconds in verdict.ran] == ["test_good"]
    joined = "\n".join(failure.message for failure in verdict.failed)
    assert any(part in joined for part in message.split("|")), joined


def test_tests_that_take_too_long_are_ended_and_the_running_test_is_named(run):
    text = """
    import pytest, time

    @pytest.mark.contract
    def test_good(): pass

    @pytest.mark.contract
    def test_hangs(start):
        start(command=["sh", "-c", "echo started; sleep 99"])
        time.sleep(99)
    """
    verdict = run(text, timeout=15)
    [failure] = verdict.failed
    assert failure.test.endswith("test_it.py::test_hangs")
    assert "the tests took longer than 15 s (tier_test_timeout) and were ended" in failure.message
    assert "started" in failure.log
    assert len(verdict.ran) == 1


def test_without_a_sandbox_the_tests_fail_and_do_not_run(run, monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox.mounted_python, "ensure", lambda *_arguments, **_options: None)
    verdict = run(
        f"    import pytest\n\n    @pytest.mark.contract\n    def test_it(): open({str(tmp_path / 'ran')!r}, 'w')\n"
    )
    [failure] = verdict.failed
    assert "the contract of tier 'core0' of team operations (registry.example.org/core@sha256:1)" in failure.message
    assert "contracts of other teams run only in a sandbox" in failure.message
    assert not (tmp_path / "ran").exists()
