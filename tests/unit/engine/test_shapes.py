"""An answer of the engine with unexpected JSON is reported as such, for every request."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import tree as command_tree
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.output import Table
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.session import EngineIdentity
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import docker_daemon, transport
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import open_in
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.family_tree import build_tree
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.layer_contents import list_layers

SHAPES = [{}, [], "text", 5, None, True, [1], [None], ["x"], [{}], [[]], {"Id": 1}, [{"Id": None}], [{"Id": 5}]]


class Client:
    """Stands for a session and its ``api``: all its answers are the same."""

    def __init__(self, answer):
        self._answer = answer
        self.api = self
        self.address = "unix:///x"
        self.identity = lambda: EngineIdentity("1.41", is_podman=False)

    def __getattr__(self, _name):
        return lambda *_arguments, **_options: self._answer


@contextmanager
def succeeds_or_reports(words):
    """Accept success (some shapes are complete answers) or an error with these words, and nothing else."""
    try:
        yield
    except TierwrightError as error:
        if words not in str(error):
            raise AssertionError(str(error)) from error


QUESTIONS = {
    "find": lambda engine: engine.images.find("x"),
    "labelled": lambda engine: engine.images.labelled("x"),
    "everything": lambda engine: engine.images.all_ids(),
    "nameless": lambda engine: engine.images.untagged("x"),
    "snapshot": lambda engine: engine.images.snapshot(),
    "history": lambda engine: engine.images.newest_step("x"),
    "container": lambda engine: engine.containers.inspect("x"),
    "containers": lambda engine: engine.containers.find("x"),
    "sources": lambda engine: engine.containers.sources(),
    "networks": lambda engine: engine.networks.find("x"),
    "volumes": lambda engine: engine.volumes.labelled("x"),
    "volume": lambda engine: engine.volumes.find("x"),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=json.dumps)
def test_an_unexpected_answer_is_reported(question, shape):
    with succeeds_or_reports("cannot be understood"):
        QUESTIONS[question](Engine(Client(shape)))


@pytest.mark.parametrize("question", ["labelled", "everything", "nameless", "snapshot", "containers", "networks"])
def test_an_empty_dictionary_is_not_an_empty_list(question):
    with pytest.raises(EngineError, match="cannot be understood"):
        QUESTIONS[question](Engine(Client({})))


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def open_with(**answers):
        class FakeApi:
            address = "unix:///x"

            def json(self, path):
                last = path.partition("?")[0].rpartition("/")[2]
                kind = "list" if path.startswith("/images/json") else {"json": "image", "history": "history"}[last]
                return answers[kind]

            def stream(self, path):
                raise EngineError(f"{self.address} packs nothing: {path}")

        session = SimpleNamespace(
            address=FakeApi.address, http=FakeApi(), identity=lambda: EngineIdentity("1.41", is_podman=False)
        )
        monkeypatch.setattr(docker_daemon, "lazy_engine", lambda: Engine(session))
        store = Store(tmp_path / "store")
        return transport.open_place("", "", store), store

    return open_with


LISTED, IMAGE = [{"Id": "sha256:1", "Labels": {}}], {"Id": "sha256:1", "RootFS": {"Layers": []}}


@pytest.mark.parametrize("shape", SHAPES, ids=json.dumps)
@pytest.mark.parametrize("kind", ["list", "image", "history"])
def test_tree_and_layers_report_unexpected_answers(engine, kind, shape):
    opened, store = engine(**{"list": LISTED, "image": IMAGE, "history": [], kind: shape})
    for view in (
        lambda: build_tree(opened.list_images()),
        lambda: list_layers(open_in(opened, opened.find("x"), store)),
    ):
        with succeeds_or_reports("unix:///x"):
            view()


FIELDS = [{}, [], "text", 5, None, True, [1], {"a": 1}, -1, 10**30, "\x1b[31m"]


@pytest.mark.parametrize("value", FIELDS, ids=json.dumps)
@pytest.mark.parametrize(
    "field",
    [
        *(("list", name) for name in ("Id", "Labels", "RepoTags", "Created", "Size")),
        *(("image", name) for name in ("Id", "RootFS", "RepoTags", "Config", "Created", "Os")),
        *(("history", name) for name in ("Created", "CreatedBy", "Comment")),
    ],
    ids=".".join,
)
def test_unexpected_fields_are_reported(engine, field, value):
    kind, key = field
    history = {"Created": 5, "CreatedBy": "x", "Comment": "y"}
    image = {**IMAGE, "RootFS": {"Layers": [f"sha256:{'1' * 64}"]}}
    answers = {"list": LISTED[0], "image": image, "history": history}
    answers[kind] = {**answers[kind], key: value}
    opened, store = engine(list=[answers["list"]], image=answers["image"], history=[answers["history"]])
    with succeeds_or_reports("unix:///x"):
        list(tree_lines(build_tree(opened.list_images(), nameless=True)))
    with succeeds_or_reports("unix:///x"):
        list_layers(open_in(opened, opened.find("x"), store))


def tree_lines(tree):
    for block in command_tree._render(tree):
        yield from block.lines() if isinstance(block, Table) else [block]


def test_an_answer_without_a_list_is_not_an_empty_list(engine):
    opened, _store = engine(list={}, image=IMAGE, history=[])
    with pytest.raises(EngineError, match="answered with dict; expected a list of images"):
        opened.list_images()
