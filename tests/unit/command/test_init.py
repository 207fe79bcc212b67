"""`tierwright init` and `tierwright new tier`: options, questions on a terminal, and what lint says of the files."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.pipeline.rendering import PIPELINE_FILES

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
DIGEST = "sha256:" + "0f" * 32
#: What Ctrl-D sends.
END = "\x04"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANSIBLE_INVENTORY", raising=False)
    return lambda *arguments: CliRunner().invoke(tierwright, list(arguments))


def chain(folder="shop") -> dict:
    return yaml.safe_load(Path(folder, "inventory/chain.yml").read_text())["tiers"]


def example(*verb: str) -> list[str]:
    """The command in the help of a verb, without `tierwright`."""
    text = CliRunner().invoke(tierwright, [*verb, "--help"]).output.partition("Example:\n")[2].partition("\n\n")[0]
    words = shlex.split(text.replace("\\\n", " "))
    assert words[: len(verb) + 1] == ["tierwright", *verb]
    return words[1:]


def test_the_examples_in_the_help_work(run):
    result = run(*example("init"))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-3:] == ["  cd shop", "  tierwright doctor", "  ansible-playbook build-chain.yml"]
    os.chdir("shop")
    result = run(*example("new", "tier"))
    assert result.exit_code == 0, result.output
    assert chain(".")["children"]["middleware"]["hosts"]["proxy"] == {"tier_parent": "core"}


def test_without_options_a_small_chain_is_written(run):
    assert run("init", "shop").exit_code == 0
    teams = chain()["children"]
    assert teams == {
        "operations": {"hosts": {"base": {"tier_bootstrap": {"suite": "trixie"}}, "core": {"tier_parent": "base"}}},
        "development": {"hosts": {"app": {"tier_parent": "core"}}},
    }
    assert chain()["vars"]["tier_chain"] == "shop"
    assert not any(Path("shop", file).exists() for file in PIPELINE_FILES.values())


@pytest.mark.parametrize(
    ("options", "base"),
    [
        (["--from", "debian", "--suite", "bookworm"], {"base": {"tier_bootstrap": {"suite": "bookworm"}}}),
        (["--from", "image", "--image", f"debian@{DIGEST}"], {"base": {"tier_pull": f"debian@{DIGEST}"}}),
        (
            ["--from", "followed", "--image", "r.example.org/ops/core-build"],
            {"core-build": {"tier_follow": {"image": "r.example.org/ops/core-build", "tag": "latest"}}},
        ),
        (
            ["--from", "followed", "--image", "r.example.org/ops/core", "--tag", "stable", "--base", "core"],
            {"core": {"tier_follow": {"image": "r.example.org/ops/core", "tag": "stable"}}},
        ),
    ],
)
def test_a_base_has_the_source_that_is_named(run, options, base):
    name = next(iter(base))
    result = run("init", "shop", *options, "--tier", f"web:{name}")
    assert result.exit_code == 0, result.output
    assert chain()["children"]["operations"]["hosts"] == {**base, "web": {"tier_parent": name}}
    assert ("tierwright update" in result.output) == ("followed" in options)


def test_other_options_have_an_effect(run):
    options = ["--name", "store", "--team", "ops", "--base", "root:platform", "--registry", "r.example.org/store"]
    result = run("init", "shop", *options, "--tier", "web:root:site", "--tier", "db:root", "--ci", "gitlab")
    assert result.exit_code == 0, result.output
    assert list(chain()["children"]) == ["platform", "site", "ops"]
    assert chain()["vars"]["tier_chain"] == "store"
    assert chain()["vars"]["image_prefix"] == "r.example.org/store"
    assert "tier:web" in yaml.safe_load(Path("shop/.gitlab-ci.yml").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tier", "Web:base"], "the tier is 'Web'"),
        (["--tier", "web"], "expected NAME:PARENT or NAME:PARENT:TEAM"),
        (["--tier", "web:nobody"], "tier_parent is 'nobody'"),
        (["--team", "a-b"], "the team is 'a-b'"),
        (["--name", "A"], "the name of the chain is 'A'"),
        (["--base", "a/b"], "the base is 'a/b'"),
        (["--suite", "B"], "the suite is 'B'"),
        (["--from", "image"], "--from image needs --image"),
        (["--from", "followed"], "--from followed needs --image"),
        (["--from", "image", "--image", "debian:12"], "expected an image by digest"),
        (["--from", "followed", "--image", "core"], "the followed image is 'core'"),
        (["--from", "image", "--image", "x", "--suite", "trixie"], "--suite has no meaning with --from image"),
        (["--tag", "stable"], "--tag has no meaning with --from debian; it belongs to followed"),
        (["--registry", "shop"], "the registry is 'shop'"),
    ],
)
def test_a_refusal_is_one_line_and_writes_nothing(run, tmp_path, options, message):
    result = run("init", "shop", *options)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert message in result.output
    assert result.output.count("\n") == 1


def test_a_folder_without_a_name_asks_for_one(run):
    Path("src").mkdir()
    os.chdir("src")
    result = run("init", "--name", "shop")
    assert result.exit_code == 0
    assert "\n  cd " not in result.output


def test_nothing_is_overwritten(run):
    Path("shop").mkdir()
    Path("shop/ansible.cfg").write_text("mine")
    result = run("init", "shop")
    assert result.exit_code == 2
    assert "shop/ansible.cfg exists, and no file is overwritten; nothing is written" in result.output
    assert [path.name for path in Path("shop").iterdir()] == ["ansible.cfg"]
    assert run("new", "tier", "web", "--parent", "core").exit_code == 3


def on_terminal(folder: Path, arguments: list[str], answers: list[str]) -> tuple[int, str]:
    """Run the command on a terminal, and type an answer at each question."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [BIN / "tierwright", *arguments], cwd=folder, stdin=follower, stdout=follower, stderr=follower, close_fds=True
    )
    os.close(follower)
    output = ""
    while True:
        ready, _, _ = select.select([leader], [], [], 60)
        assert ready, output
        try:
            output += os.read(leader, 4096).decode()
        except OSError:  # the command has ended
            break
        if output.endswith((": ", "]: ")) and answers:
            answer = answers.pop(0)
            os.write(leader, answer.encode() if answer == END else f"{answer}\n".encode())
    os.close(leader)
    return process.wait(60), output.replace("\r", "")


def test_on_a_terminal_it_asks_and_asks_again_after_a_wrong_answer(tmp_path):
    answers = [
        "",
        "debian",
        "Bookworm",
        "bookworm",
        "ops",
        "",
        "core:base",
        "core:base",
        "app:core:dev",
        "-",
        "-",
        "none",
    ]
    code, output = on_terminal(tmp_path, ["init", "shop"], answers)
    assert code == 0, output
    assert "Name of the chain [shop]:" in output
    assert "the suite is 'Bookworm'; expected a code name" in output
    assert "there is a tier 'core' already" in output
    assert answers == []
    hosts = {team: list(group["hosts"]) for team, group in chain(tmp_path / "shop")["children"].items()}
    assert hosts == {"ops": ["base", "core"], "dev": ["app"]}


def test_on_a_terminal_options_are_not_asked_for(tmp_path):
    options = ["--from", "image", "--image", f"debian@{DIGEST}", "--team", "ops", "--base", "base", "--tier", "a:base"]
    code, output = on_terminal(
        tmp_path, ["init", "shop", "--name", "x", *options, "--registry", "r.example.org/x", "--ci", "none"], []
    )
    assert code == 0, output
    assert "]: " not in output
    code, output = on_terminal(tmp_path, ["init", "second", "--defaults"], [])
    assert code == 0, output


def test_without_an_answer_nothing_is_written(tmp_path):
    code, output = on_terminal(tmp_path, ["init", "shop"], ["", END])
    assert (code, "Traceback" in output) == (1, False), output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_lint_finds_nothing_in_what_is_written(run, tmp_path):
    """Also in the pipelines, which ansible-lint leaves out."""
    assert run("init", "shop", "--ci", "github", "--registry", "r.example.org/shop").exit_code == 0
    os.chdir("shop")
    assert run("new", "tier", "web-server", "--parent", "core", "--team", "middleware").exit_code == 0
    for system in ("gitlab", "tekton"):
        other = tmp_path / system
        assert run("init", str(other), "--ci", system, "--registry", "r.example.org/shop").exit_code == 0
        Path(PIPELINE_FILES[system]).parent.mkdir(exist_ok=True)
        Path(PIPELINE_FILES[system]).write_bytes((other / PIPELINE_FILES[system]).read_bytes())
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "NO_COLOR": "1"}
    for command in (["ansible-lint", "--offline", "--strict"], ["yamllint", "--strict", "."]):
        process = subprocess.run(
            [BIN / command[0], *command[1:]],
            env={**environment, "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout + process.stderr
