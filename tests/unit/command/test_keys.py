"""`tierwright keys`, as people use it. Passphrases and private keys are searched for wherever others could see them."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import click
import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import keys, signer_options
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import read_key_file
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import read_public_key

pytestmark = pytest.mark.once

COMMAND = Path(sys.executable).parent / "tierwright"
PASSPHRASE = "canary-of-a-passphrase"
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A function that runs the command in this process, in a folder with a passphrase file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")

    def run_(*arguments):
        result = CliRunner().invoke(tierwright, ["keys", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert PASSPHRASE not in result.output
        return result.exit_code, result.stdout, result.stderr

    return run_


def make(run, name="alice", team="operations", *options):
    code, out, err = run("new", name, "--team", team, "--passphrase-file", "pass", *options)
    assert (code, err) == (0, "")
    return out, read_public_key(Path(f"keys/{name}.pub").read_text(), "key")


def test_a_new_key_is_written_and_explained(run):
    out, key = make(run)
    assert key.type == "p256"
    assert key.id in out
    assert yaml.safe_load(out[out.index("teams:") : out.index("For the inventory")]) == {
        "teams": {"operations": {"keys": {"alice": key.pem}}}
    }
    assert stat.S_IMODE(Path("keys/alice.key").stat().st_mode) == 0o600
    _out, key = make(run, "bob", "operations", "--type", "ed25519", "--folder", "keys")
    assert key.type == "ed25519"


def test_a_key_is_shown(run):
    _out, key = make(run)
    shown = run("show", "keys/alice.pub", "--json")[1]
    jsonschema.validate(json.loads(shown), json.loads(schemas.path("keys show").read_text()))
    assert json.loads(shown) == {"id": key.id, "type": "p256", "public_key": key.pem}
    assert run("show", "keys/alice.key", "--passphrase-file", "pass", "--json")[1] == shown
    assert run("show", "keys/alice.pub")[1] == f"ID    {key.id}\ntype  p256\n{key.pem}"
    assert run("show", "nothing")[0] == 3
    Path("wrong").write_text("wrong\n")
    code, out, err = run("show", "keys/alice.key", "--passphrase-file", "wrong")
    assert (code != 0, out) == (True, "")
    assert "the passphrase is wrong" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "../alice", "--team", "a"], "'../alice' is not a name of a key"),
        (["new", ".alice", "--team", "a"], "'.alice' is not a name of a key"),
        (["new", "alice", "--team", "a", "--passphrase-file", "nothing"], "--passphrase-file nothing cannot be read"),
        (["new", "alice", "--team", "a", "--passphrase-file", "empty"], "has 0 lines and 0 bytes; expected one line"),
        (["new", "alice", "--team", "a", "--passphrase-file", "two"], "has 2 lines and 8 bytes; expected one line"),
        (["new", "alice", "--team", "a", "--passphrase-file", "bytes"], "--passphrase-file bytes cannot be read"),
        (["revoke", "a/b", "--reason", "lost"], "there is no policy chain-policy.yml"),
        (["revoke", "a/b", "--reason", " "], "--reason is empty"),
        (["revoke", "a/b", "--reason", "lost", "--policy", "bytes"], "the policy bytes cannot be read"),
        (["rotate", "nothing.pub"], "there is no file nothing.pub"),
    ],
)
def test_wrong_arguments_are_explained(run, arguments, message):
    Path("empty").write_text("")
    Path("two").write_text("one\ntwo\n")
    Path("bytes").write_bytes(b"\xff\xfe")
    code, out, err = run(*arguments)
    assert code in {2, 3}
    assert out == ""
    assert message in err
    assert not Path("keys").exists()


def test_a_key_is_not_made_twice(run):
    _out, key = make(run)
    code, _out, err = run("new", "alice", "--team", "operations")  # it asks for no passphrase
    assert code != 0
    assert "keys/alice.key exists, and keys are never overwritten" in err
    assert read_public_key(Path("keys/alice.pub").read_text(), "key") == key


def policy(lines):
    Path("chain-policy.yml").write_text(f"# ours\nversion: 7\nexpires: 2027-01-01\n{lines}tiers: {{}}\n")
    return Path("chain-policy.yml")


def lines_of(out):
    return out[out.index("teams:") : out.index("For the inventory")]


def test_a_key_is_rotated_step_by_step(run):
    out, old = make(run, "alice", "operations", "--type", "ed25519")
    path = policy(lines_of(out))
    before = path.read_text()
    for given, name in (("keys/alice.pub", "alice-2"), ("keys/alice.key", "alice-2"), ("keys/alice-2.pub", "alice-3")):
        for each in Path("keys").glob(f"{name}.*"):
            each.unlink()
        code, out, err = run("rotate", given, "--passphrase-file", "pass", "--team", "operations")
        assert (code, err) == (0, "")
        new = read_public_key(Path(f"keys/{name}.pub").read_text(), "key")
        assert new.type == "ed25519"
        assert f"{new.id}\n" in out
        added = out[out.index("teams:") : out.index("2. ")]
        assert yaml.safe_load(added) == {"teams": {"operations": {"keys": {name: new.pem}}}}
    assert "does not have the old key" in out  # of alice-2, which nobody added
    code, out, _err = run("rotate", "keys/alice.pub", "--name", "alice-new", "--passphrase-file", "pass")
    assert code == 0
    assert f"remove teams.operations.keys.alice ({old})" in out
    assert "tierwright keys revoke operations/alice" in out
    assert path.read_text() == before
    code, _out, err = run("rotate", "keys/alice-3.pub", "--passphrase-file", "pass")
    assert code == 2
    assert "is not known, because chain-policy.yml does not have it; use --team or --policy" in err


@pytest.mark.parametrize("how", ["operations/alice", "file", "id"])
def test_a_key_is_revoked_in_the_policy(run, how):
    out, key = make(run)
    path = policy(lines_of(out))
    path.chmod(0o640)
    Path("link.yml").symlink_to(path)
    named = {"file": "keys/alice.pub", "id": key.id[:16]}.get(how, how)
    code, out, err = run("revoke", named, "--reason", "laptop lost", "--policy", "link.yml")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"link.yml: operations/alice is revoked, ID {key.id}",
        "link.yml does not count until it is signed again: tierwright policy sign",
    ]
    document = yaml.safe_load(path.read_text())
    assert document["version"] == 8
    assert re.fullmatch(r"\d{4}-\d\d-\d\d laptop lost", document["revoked"][key.id])
    assert path.read_text().startswith("# ours\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert Path("link.yml").is_symlink()
    assert run("revoke", named, "--reason", "again")[0] != 0


def test_every_option_is_documented():
    section = (DOCS / "command.md").read_text().partition("\n## tierwright keys\n")[2].partition("\n## ")[0]
    context = click.Context(keys.verb)
    for name in keys.verb.list_commands(context):
        assert f"`keys {name}" in section
        for parameter in keys.verb.get_command(context, name).params:
            if isinstance(parameter, click.Option) and "--json" not in parameter.opts:
                assert f"`{parameter.opts[-1]}" in section, (name, parameter.opts)


def secrets_of(path: Path) -> list[bytes]:
    """Everything that must not be seen: the passphrase, and the private key in all its forms."""
    private = read_key_file(path, PASSPHRASE, "key")
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    raw = private.private_numbers().private_value.to_bytes(32, "big")
    return [PASSPHRASE.encode(), raw, raw.hex().encode(), base64.b64encode(der), base64.b64encode(raw), der]


def test_a_passphrase_that_is_typed_is_seen_nowhere(tmp_path):
    """At the prompt, the process is looked at from outside. Its output and its files are searched."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execv(COMMAND, [str(COMMAND), "keys", "new", "alice", "--team", "operations"])
    output, seen, typed = b"", b"", 0
    try:
        while True:
            try:
                output += os.read(terminal, 4096)
            except OSError:  # the process has ended
                break
            if output.count(b": ") > typed and output.rstrip().endswith(b":") and typed < 2:
                time.sleep(0.1)  # until the terminal shows nothing of what is typed
                status = Path(f"/proc/{process}/status").read_text()
                seen += Path(f"/proc/{process}/cmdline").read_bytes() + Path(f"/proc/{process}/environ").read_bytes()
                typed += 1
                os.write(terminal, PASSPHRASE.encode() + b"\n")
    finally:
        os.close(terminal)
        _pid, code = os.waitpid(process, 0)
    assert (code, typed) == (0, 2), output
    assert "Name:\ttierwright" in status
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["alice.key", "alice.pub", "keys"]
    places = [output, seen, *(path.read_bytes() for path in tmp_path.rglob("*.*"))]
    for secret in secrets_of(tmp_path / "keys/alice.key"):
        assert not any(secret in place for place in places)


def test_a_passphrase_from_a_descriptor(tmp_path):
    """No terminal is needed, and the passphrase is in no file."""
    command = [COMMAND, "keys", "new", "alice", "--team", "operations", "--passphrase-file", "/dev/stdin"]
    process = subprocess.run(
        command, cwd=tmp_path, input=PASSPHRASE, text=True, capture_output=True, check=True, start_new_session=True
    )
    assert PASSPHRASE not in process.stdout + process.stderr
    assert read_key_file(tmp_path / "keys/alice.key", PASSPHRASE, "key")
    command[-2:] = []
    command[3] = "bob"
    failed = subprocess.run(
        command, cwd=tmp_path, input="", text=True, capture_output=True, check=False, start_new_session=True
    )
    assert failed.returncode == 2
    assert failed.stderr == (
        "tierwright: keys/bob.key needs a passphrase, and there is no terminal; use --passphrase-file\n"
    )


def test_verbs_that_sign_open_the_key_that_their_options_name(run, monkeypatch):
    _out, key = make(run)
    opened = []

    @click.command()
    @signer_options.signer_options
    def sign(**options):
        opened.append(signer_options.open_chosen_signer(**options).public_key)

    runner = CliRunner()
    arguments = ["--key", "keys/alice.key", "--passphrase-file", "pass"]
    for more in ([], ["--public-key", "keys/alice.pub"]):
        assert runner.invoke(sign, [*arguments, *more]).exit_code == 0
    assert opened == [key, key]
    monkeypatch.setenv("TEAM_KEY", Path("keys/alice.key").read_text())
    assert runner.invoke(sign, ["--key", "env:TEAM_KEY", "--passphrase-file", "pass"]).exit_code == 0
    refused = runner.invoke(sign, ["--key", "nothing.key"])
    assert isinstance(refused.exception, TrustError)
    assert str(refused.exception).startswith("--key: there is no file nothing.key")
