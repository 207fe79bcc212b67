"""`tierwright deployed`: tables, sentences, JSON and exit codes of made-up answers."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace

import jsonschema
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import ask_target, output
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed_service import (
    DeployedService,
    DeployedSites,
    LastDeployment,
    OutdatedLayer,
)

pytestmark = pytest.mark.once

OLD, NEW = (f"registry.example.org/team/web@sha256:{digit * 64}" for digit in "12")
CURRENT = DeployedService(
    site="shop",
    service="web",
    target="swarm",
    image=OLD,
    chosen_by="registry.example.org/team/web:latest",
    config=f"sha256:{'3' * 64}",
    deployment="deploy-20261129T200000Z",
    since="2026-01-01T00:00:00Z",
    running=2,
    wanted=2,
    state=None,
    problem=None,
    release="release-20261124T093000Z",
    newest=OLD,
    current=True,
)
OUTDATED = replace(
    CURRENT,
    newest=NEW,
    current=False,
    outdated=[OutdatedLayer("corebuild", "operations"), OutdatedLayer(None, None), OutdatedLayer(None, None)],
)
LAST = LastDeployment(
    id="deploy-20261129T210000Z",
    began="2026-11-29T21:00:00Z",
    outcome="rolled back",
    image=NEW,
    config=f"sha256:{'4' * 64}",
    tier="web",
    team="development",
    reason="exit status 1",
)
ROLLED_BACK = replace(OUTDATED, state="rolled back", problem="task: non-zero exit (1)", last=LAST)


@pytest.fixture
def show(monkeypatch):
    """Run the command for an answer, and return its exit status and its output."""

    def run(*arguments, services=(), notes=()):
        monkeypatch.setattr(ask_target, "ask_target", lambda *_options: DeployedSites(list(services), list(notes)))
        result = CliRunner().invoke(tierwright, ["deployed", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result.exit_code, result.stdout

    return run


def test_a_row_says_what_runs_and_whose_layers_are_out_of_date(show):
    code, out = show(services=[OUTDATED])
    heads, row = out.splitlines()
    assert " ".join(heads.split()) == "SITE SERVICE IMAGE DIGEST RELEASE RUNNING SINCE STATE OUT OF DATE"
    assert row.split()[:6] == ["shop", "web", CURRENT.chosen_by, "1" * 12, "release-20261124T093000Z", "2/2"]
    assert row.endswith("corebuild (operations), ? (?)")
    assert code == 0


def test_on_a_terminal_the_heads_are_bold(show, monkeypatch):
    terminal = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(output, "sys", terminal)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "250"}.items():
        monkeypatch.setenv(name, value)
    out = show(services=[OUTDATED])[1]
    assert "\x1b[1m" in out
    assert "corebuild (operations), ? (?)" in out


@pytest.mark.parametrize(
    ("service", "cell"),
    [
        (CURRENT, "-"),
        (replace(CURRENT, current=False, newest=NEW), "settings or new layers"),
        (replace(CURRENT, current=None, newest=None, unknown="nobody knows"), "?"),
        (replace(CURRENT, current=None, newest=None, chosen_by=OLD), "chosen by digest"),
    ],
)
def test_the_last_column_is_honest(show, service, cell):
    row = show(services=[service])[1].splitlines()[1]
    assert row.rsplit("  ", 1)[1].strip() == cell


def test_a_rolled_back_deployment_is_explained_with_the_way_to_withdraw_its_release(show):
    lines = show(services=[ROLLED_BACK])[1].splitlines()[2:]
    assert lines[0] == "shop/web: rolled back: task: non-zero exit (1)"
    assert lines[1].startswith("shop/web: deploy-20261129T210000Z (")
    assert lines[1].endswith(f": rolled back; {NEW} (tier web, team development) did not work: exit status 1")
    assert lines[2].endswith(
        "still names that image; to withdraw its release: ansible-playbook tierwright.chain.rollback --limit web, then "
        "tierwright.chain.publish"
    )


def test_a_release_that_was_withdrawn_already_is_not_withdrawn_again(show):
    withdrawn = replace(ROLLED_BACK, newest=OLD, current=True, outdated=[])
    assert "withdraw" not in show(services=[withdrawn])[1]


def test_an_interrupted_deployment_is_explained(show):
    interrupted = replace(CURRENT, last=replace(LAST, outcome="interrupted", reason=None))
    (line,) = show(services=[interrupted])[1].splitlines()[2:]
    assert line.endswith(f"was interrupted before {NEW} (tier web, team development) ran; deploy again")


def test_replicas_that_do_not_run_are_explained_in_one_line(show):
    broken = replace(CURRENT, running=1, problem="No such image:\n registry.example.org/team/web")
    (line,) = show(services=[broken])[1].splitlines()[2:]
    assert line == "shop/web: 1 of 2 containers run: No such image: registry.example.org/team/web"


@pytest.mark.parametrize(
    ("service", "code"),
    [
        (CURRENT, 0),
        (replace(CURRENT, state="updating"), 0),
        (replace(CURRENT, current=None, newest=None, chosen_by=OLD), 0),
        (replace(CURRENT, last=replace(LAST, outcome="deployed")), 0),
        (OUTDATED, 1),
        (replace(CURRENT, running=1), 1),
        (replace(CURRENT, current=None, unknown="nobody knows"), 1),
        (replace(CURRENT, state="stuck"), 1),
        (replace(CURRENT, last=LAST), 1),
        (replace(CURRENT, last=replace(LAST, outcome="interrupted")), 1),
    ],
)
def test_fail_exits_with_1_if_somebody_must_act(show, service, code):
    assert show("--fail", services=[service])[0] == code
    assert show(services=[service])[0] == 0


def test_a_site_that_does_not_run_fails_if_it_was_named(show):
    assert show("--fail") == (0, "nothing is deployed here\n")
    assert show("shop") == (0, "nothing is deployed here for site shop\n")
    assert show("shop", "--fail", notes=["a note"]) == (1, "nothing is deployed here for site shop\na note\n")


def test_json_matches_the_documented_schema(show):
    code, out = show("--json", services=[CURRENT, ROLLED_BACK], notes=["a note"])
    answer = json.loads(out)
    jsonschema.validate(answer, json.loads(schemas.path("deployed").read_text()))
    assert code == 0
    assert answer["services"][1]["last"]["outcome"] == "rolled back"
    assert answer["services"][0]["last"] is None


def test_control_characters_of_labels_are_escaped(show):
    evil = "\x1b[31mevil\u202e"
    hostile = replace(
        OUTDATED,
        **dict.fromkeys(("site", "service", "chosen_by", "image", "release", "state", "problem", "unknown"), evil),
        outdated=[OutdatedLayer(evil, evil)],
        last=replace(LAST, id=evil, image=evil, tier=evil, team=evil, reason=evil),
        running=1,
    )
    out = show(evil, services=[hostile], notes=[evil])[1]
    assert out.replace("\n", "").isprintable()
    assert "\\x1b[31mevil\\u202e" in out
    assert evil in json.loads(show("--json", services=[hostile])[1])["services"][0]["site"]


def run(*arguments):
    result = CliRunner().invoke(tierwright, ["deployed", *arguments])
    return result.exit_code, result.stderr


def test_a_cluster_needs_the_client_of_kubernetes(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    message = "tierwright: asking a cluster needs the Python package kubernetes; install tierwright[kubernetes]\n"
    assert run("shop", "--context", "prod") == (5, message)


def test_a_cluster_is_asked_in_the_namespace_of_the_site(monkeypatch):
    asked = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: True)
    monkeypatch.setattr(ask_target, "connect_cluster", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(ask_target, "deployed_on_cluster", lambda *_arguments: DeployedSites([], []))
    assert run("shop", "--context", "prod") == (0, "")
    assert run("--namespace", "web") == (0, "")
    assert asked == [("shop", "prod"), ("web", None)]
    code, message = run("--context", "prod")
    assert (code, "add --namespace NAMESPACE" in message) == (2, True)


def test_an_engine_that_does_not_answer_is_one_sentence(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    code, message = run()
    assert (code, len(message.splitlines())) == (5, 1)
