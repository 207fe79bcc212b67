"""Engines on other machines: the connection over ssh and over TLS."""

from __future__ import annotations

import datetime as dt
import getpass
import ipaddress
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address

from .conftest import ROOT
from .containers import Target, build_container

pytestmark = pytest.mark.once

TASKS = """
- name: Run a module
  ansible.builtin.command: {cmd: wc -c, stdin: "{{ 'x' * 3000000 }}", stdin_add_newline: false}
  register: counted
  failed_when: counted.stdout != '3000000'
- name: Copy bytes in
  ansible.builtin.copy: {src: bytes, dest: /etc/bytes, mode: "0600"}
- name: Copy bytes out
  ansible.builtin.fetch: {src: /etc/bytes, dest: "{{ playbook_dir }}/fetched", flat: true}
"""


@pytest.fixture
def target(demo, engine, playbook) -> Iterator[Target]:
    with build_container(engine, playbook, demo["base"].id) as container:
        yield container


def assert_one_stream_is_used(target: Target, folder: Path, environment: dict[str, str]) -> None:
    content = bytes(range(256)) * 20_000
    (folder / "bytes").write_bytes(content)
    output = target.play(folder, TASKS, env={**environment, "ANSIBLE_VERBOSITY": "3"}).expect().output
    assert (folder / "fetched").read_bytes() == content
    assert output.count("started the agent; it is reached through one stream") == 1
    assert "the engine runs this command" not in output


#: Packages of the SDK for ssh, which only this test needs (`make environments`).
SSH = list(ROOT.glob(".nox/ssh/lib/python3*/site-packages"))


@pytest.fixture
def over_ssh(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables of a user who reaches the engine through a private ssh server."""
    assert SSH, "run `make environments`: it installs what the SDK needs for ssh"
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for key in (home / ".ssh/id_ed25519", tmp_path / "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    port = free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host_key",
        "AuthorizedKeysFile": home / ".ssh/id_ed25519.pub",
        "StrictModes": "no",
        "PermitRootLogin": "yes",
        "PidFile": "none",
    }
    configuration = tmp_path / "sshd_config"
    configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    public = (tmp_path / "host_key.pub").read_text().split()[:2]
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(configuration), "-E", str(tmp_path / "sshd.log")])
    try:
        wait_for_port(port)
        address = f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
        yield {"HOME": str(home), "DOCKER_HOST": address, "PYTHONPATH": os.pathsep.join(map(str, SSH))}
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _ in range(100):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"no program listens at port {port}")


def test_ssh_uses_one_stream(target, tmp_path, over_ssh):
    assert_one_stream_is_used(target, tmp_path, over_ssh)


@pytest.fixture
def over_tls(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables of a user who reaches the engine through TLS."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "engine")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    for file in ("ca.pem", "cert.pem"):
        (folder / file).write_bytes(pem)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    port = free_port()
    listen = f"OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cafile=ca.pem,cert=cert.pem,key=key.pem"
    server = subprocess.Popen(["socat", listen, engine_address().replace("unix://", "UNIX-CONNECT:")], cwd=folder)
    try:
        wait_for_port(port)
        yield {
            "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(folder),
            "REQUESTS_CA_BUNDLE": "",  # these two would take precedence over the certificate above
            "CURL_CA_BUNDLE": "",
        }
    finally:
        server.terminate()
        server.wait()


def test_tls_uses_one_stream(target, tmp_path, over_tls):
    assert_one_stream_is_used(target, tmp_path, over_tls)


def test_tls_without_an_agent_is_rejected_with_a_reason(target, tmp_path, over_tls):
    tasks = "- name: Without Python\n  ansible.builtin.raw: 'true'"
    failed = target.play(tmp_path, tasks, {"ansible_python_interpreter": "/nonexistent/python3"}, env=over_tls)
    assert failed.code == 4
    assert "only an agent can run commands there, and the agent needs Python in the build container" in failed.message
