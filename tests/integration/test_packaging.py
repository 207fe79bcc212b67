"""What other teams install: the archive of the collection, the wheel, and the roles in their own playbooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy_signature import sign_policy
from fake_registry import fake_registry
from made_images import config, layer, layout, tier_step, write
from published_images import publish, tier_layer
from signed_chain import KeyInMemory

from .conftest import BIN, ROOT

INCLUDED = (
    "extensions/eda/plugins/event_source/releases.py",
    "extensions/eda/rulebooks/deploy-releases.yml",
    "extensions/molecule/config.yml",
    "extensions/molecule/inventory.yml",
    "extensions/molecule/pytest.ini.j2",
    "plugins/inventory/molecule.py",
    "plugins/connection/tier.py",
    "plugins/plugin_utils/_core/interpreter/inside/install_python.sh",
    "plugins/plugin_utils/_core/pipeline/templates/gitlab.j2",
    "plugins/plugin_utils/_core/project/templates/project/ansible.cfg.j2",
    "plugins/plugin_utils/_core/project/templates/role/test_role.py.j2",
    "plugins/plugin_utils/_core/report/style.css",
    "plugins/plugin_utils/_core/report/templates/base.html.j2",
    "plugins/plugin_utils/_core/report/vendor/sortable.LICENSE",
    "roles/httpd_php/tasks/main.yml",
    "roles/httpd_php/tests/test_contract.py",
    "roles/watcher/files/requirements.txt",
    "playbooks/build_chain.yml",
    "playbooks/test_chain.yml",
    "meta/runtime.yml",
)
#: The tests of roles are part of the package.
ROLE_TESTS = re.compile(r"(.*/)?roles/\w+/tests/")
EXCLUDED = (
    "tests/",
    "collections/",
    ".venv/",
    ".nox/",
    ".git/",
    "inventories/",
    "__pycache__/",
    ".ci/",
    "requirements/",
)


@pytest.mark.once
def test_the_archive_of_the_collection_is_clean(environment, tmp_path):
    subprocess.run(
        ["ansible-galaxy", "collection", "build", str(ROOT), "--output-path", str(tmp_path)],
        env=environment,
        check=True,
        capture_output=True,
    )
    with tarfile.open(next(tmp_path.glob("tierwright-chain-*.tar.gz"))) as tar:
        names = tar.getnames()
    assert set(INCLUDED) <= set(names)
    for unwanted in EXCLUDED:
        inside = [name for name in names if f"/{unwanted}" in name and not ROLE_TESTS.match(name)]
        assert not inside + [name for name in names if name.startswith(unwanted)]
    assert not [name for name in names if name.endswith((".pyc", ".tar.gz", ".cfg"))]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A virtual environment with only the wheel and its requirements, outside the clone."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run(
        [BIN / "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    environment_with(folder, next(folder.glob("*.whl")))
    return folder


@pytest.fixture(scope="module")
def from_archive(tmp_path_factory):
    """The same with the archive that ansible-galaxy installs, and the Python packages that it requires."""
    folder = tmp_path_factory.mktemp("elsewhere")
    galaxy = [BIN / "ansible-galaxy", "collection"]
    subprocess.run([*galaxy, "build", ROOT, "--output-path", folder], check=True, capture_output=True)
    collections = folder / ".ansible/collections"  # where Ansible looks, for `run` makes this the home folder
    install = [*galaxy, "install", "--offline", "--force", "--collections-path", collections]
    subprocess.run([*install, next(folder.glob("*.tar.gz"))], check=True, capture_output=True)
    collection = collections / "ansible_collections/tierwright/chain"
    environment_with(folder, "--requirement", collection / "meta/execution-environment-requirements.txt")
    return folder


def environment_with(folder, *packages):
    """Make a virtual environment with packages, and with the ansible-core that runs these tests."""
    core = subprocess.run([BIN / "ansible", "--version"], check=True, capture_output=True, text=True).stdout
    version = core.partition("[core ")[2].partition("]")[0]
    uv = [BIN / "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, folder / "venv"], check=True, capture_output=True)
    subprocess.run(
        [*uv, "pip", "install", "--python", folder / "venv/bin/python", *packages, f"ansible-core=={version}"],
        check=True,
        capture_output=True,
    )


def environment_of(installed):
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))},
        "PATH": f"{installed}/venv/bin:{os.environ['PATH']}",
        "HOME": str(installed),
        "ANSIBLE_NOCOLOR": "true",
    }


def run(installed, *arguments):
    return subprocess.run(
        ["ansible-playbook", *arguments],
        cwd=installed,
        env=environment_of(installed),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.once
def test_the_wheel_installs_the_command(installed, tmp_path):
    image = (config([layer(("etc/motd", b"hello"))], [tier_step("base", "ops")]), [layer(("etc/motd", b"hello"))])
    folder = write(tmp_path, layout({"base:latest": image}))
    process = subprocess.run(
        [installed / "venv/bin/tierwright", "blame", f"oci:{folder}", "/etc/motd"],
        env={"HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.startswith("/etc/motd: base, team ops\n")
    subprocess.run(
        [installed / "venv/bin/tierwright", "report", "--in", f"oci:{folder}", "-o", tmp_path / "report"],
        env={"HOME": str(tmp_path)},
        check=True,
    )
    assert (tmp_path / "report/tiers/base.html").is_file()
    subprocess.run(
        [installed / "venv/bin/tierwright", "init", tmp_path / "shop"], env={"HOME": str(tmp_path)}, check=True
    )
    assert list((tmp_path / "shop/roles").glob("*/molecule/default/molecule.yml"))


@pytest.mark.once
def test_the_wheel_contains_only_the_collection(installed):
    with zipfile.ZipFile(next(installed.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    place = "ansible_collections/tierwright/chain/"
    assert {place + name for name in INCLUDED} <= set(names)
    assert all(name.startswith((place, "tierwright-")) for name in names)
    assert not [name for name in names if "__pycache__" in name or ("/tests/" in name and not ROLE_TESTS.match(name))]


@pytest.mark.parametrize("installation", ["installed", pytest.param("from_archive", marks=pytest.mark.once)])
def test_an_installation_builds_a_chain_in_a_different_folder(installation, request, small_chain):
    installed = request.getfixturevalue(installation)
    folder = installed / "project"
    (folder / "roles/hello/tasks").mkdir(parents=True)
    (folder / "roles/hello/tasks/main.yml").write_text(
        "- name: Say hello\n  ansible.builtin.copy: {content: hello, dest: /etc/hello, mode: '0644'}\n"
    )
    small_chain.tier("hello", parent="base")
    chain = {"all": {"vars": {"tier_chain": small_chain.name}}}
    inventory = {**chain, "tiers": {"children": {"operations": {"hosts": small_chain.tiers}}}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    process = run(installed, "tierwright.chain.build_chain", "-i", str(folder / "inventory.yml"))
    assert process.returncode == 0, process.stdout + process.stderr
    assert "hello" in process.stdout
    assert "TIER" in process.stdout
    assert small_chain.run("hello", "cat", "/etc/hello") == "hello"


ROLE = """
- name: Say hello
  ansible.builtin.copy: {content: hello, dest: /etc/hello, mode: "0644"}
"""
TEST = """
def test_hello(host):
    assert host.file("/etc/hello").content == b"hello"
"""


@pytest.mark.once
@pytest.mark.sampled
@pytest.mark.parametrize("installation", ["installed", "from_archive"])
def test_an_installation_tests_a_role_without_a_chain(installation, request, hostile, engine):
    """The repository has only the role, and the two lines that name its parent. The wheel brings a command for it."""
    installed = request.getfixturevalue(installation)
    install = [BIN / "uv", "--quiet", "pip", "install", "--python", installed / "venv/bin/python"]
    version = metadata.version("molecule")
    subprocess.run([*install, f"molecule=={version}", "pytest-testinfra"], check=True, capture_output=True)
    role = installed / "repository/hello_world"
    for name, content in (
        ("tasks/main.yml", ROLE),
        ("tests/test_hello.py", TEST),
        ("molecule/default/molecule.yml", f"platforms:\n  - {{name: molecule, parent: '{hostile}'}}\n"),
    ):
        (role / name).parent.mkdir(parents=True)
        (role / name).write_text(content)
    folder = installed / ".ansible/collections/ansible_collections/tierwright/chain/extensions/molecule"
    command = {
        "installed": ["tierwright", "molecule", "test"],
        "from_archive": ["molecule", "--base-config", f"{folder}/config.yml", "test"],
    }[installation]
    variables = {"from_archive": {"TIERWRIGHT_MOLECULE": str(folder)}}.get(installation, {})
    process = subprocess.run(
        [installed / "venv/bin" / command[0], *command[1:]],
        cwd=role,
        env={**environment_of(installed), **variables, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    assert process.returncode == 0, process.stdout
    assert "default > verify: Executed: Successful" in process.stdout
    assert re.search(r"^=+ 1 passed in ", process.stdout, re.MULTILINE), process.stdout
    # These summaries do not change if another session removes its images meanwhile.
    names = {(image["Labels"] or {}).get(labels.CHAIN, "") for image in engine.api.images(all=True)}
    assert not [name for name in names if name.startswith("molecule-hello-world-")]


@pytest.mark.once
def test_a_role_works_on_a_plain_machine(installed, python_image, engine):
    """The plain Debian machine is a container with Python."""
    machine = engine.containers.run(python_image, ["sleep", "1800"], detach=True, remove=True)
    try:
        (installed / "site.yml").write_text(
            yaml.safe_dump(
                [
                    {
                        "name": "Serve PHP",
                        "hosts": "web",
                        "tasks": [
                            {
                                "name": "Apply the role",
                                "ansible.builtin.import_role": {"name": "tierwright.chain.httpd_php"},
                                "vars": {"httpd_php_extensions": ["mbstring"]},
                            }
                        ],
                    }
                ]
            )
        )
        hosts = {"web": {"hosts": {"machine": {
            "ansible_connection": "tierwright.chain.tier",
            "ansible_python_interpreter": "/usr/bin/python3",
            "tier_container": machine.id,
        }}}}  # fmt: skip
        (installed / "hosts.yml").write_text(yaml.safe_dump(hosts))
        for expected in (None, "changed=0"):
            process = run(installed, "site.yml", "-i", "hosts.yml")
            assert process.returncode == 0, process.stdout + process.stderr
            assert expected is None or expected in process.stdout, process.stdout
        code, output = machine.exec_run(["apachectl", "-M"])
        assert code == 0, output
        assert b"mpm_event" in output
    finally:
        machine.kill()


def test_the_library_can_be_imported_without_the_loader_of_ansible():
    """Tools and tests use the library as plain Python."""
    program = "import ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path("/"))


def write_policy(folder):
    """Write a signed policy that requires signatures, and return the variables that name it."""
    owner, operator = KeyInMemory(), KeyInMemory()
    policy = {
        "version": 1,
        "expires": "2036-01-01",
        "teams": {"operations": {"keys": {"alice": operator.public_key.pem}}},
        "tiers": {"*": {"team": "operations"}},
    }
    path = folder / "policy/chain-policy.yml"  # in the folder of the inventory, it would be used without being named
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(policy))
    sign_policy(path, owner)
    return {"deploy_policy": str(path), "deploy_policy_keys": [owner.public_key.pem]}


@pytest.mark.once
def test_an_installation_deploys_what_a_registry_has(installed, tmp_path):
    """No chain, no clone and no image in the engine: only the wheel, the registry, and access to the engine."""
    site = {
        "deploy_name": "only-a-wheel",
        "deploy_port": 18080,
        "deploy_secrets": {"database_password": "a" * 20, "database_root_password": "b" * 20, "phrase": "c" * 40},
    }
    with fake_registry() as registry:
        for name in ("mariadb", "wordpress", "haproxy"):
            publish(registry, f"team/{name}", "latest", [tier_layer(1)], owners=("base", name))
        site["deploy_images"] = {
            name: f"{registry.host}/team/{name}:latest" for name in ("mariadb", "wordpress", "haproxy")
        }
        inventory = tmp_path / "site.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": None}, "vars": site}}))
        words = ("tierwright.chain.deploy", "-i", str(inventory), "--check")
        planned = run(installed, *words)
        other = {**site["deploy_images"], "haproxy": f"{registry.host}/team/haproxy@sha256:{'0' * 64}"}
        missing = run(installed, *words, "-e", json.dumps({"deploy_images": other}))
        refused = run(installed, *words, "-e", json.dumps(write_policy(tmp_path)))
        rendered = run(
            installed, "tierwright.chain.deploy", "-i", str(inventory),
            "-e", f"deploy_target=kubernetes deploy_render_to={tmp_path}/files",
        )  # fmt: skip
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "changed=1" in planned.stdout
    assert missing.returncode == 2
    assert "service 'haproxy'" in missing.stdout + missing.stderr
    assert "does not exist in registry" in missing.stdout + missing.stderr
    assert refused.returncode == 2
    message = " ".join((refused.stdout + refused.stderr).split())
    assert "the policy refuses" in message, message
    assert "no provenance is signed" in message
    assert rendered.returncode == 0, rendered.stdout + rendered.stderr
    assert "@sha256:" in "".join(path.read_text() for path in (tmp_path / "files").glob("*wordpress.yaml"))
