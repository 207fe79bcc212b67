"""An engine that answers JSON of another shape is told as that, whatever was asked."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import tree as command_tree
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.output import Table
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import docker_daemon, transport
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import open_in
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.family_tree import build_tree
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.layer_contents import list_layers

SHAPES = [{}, [], "text", 5, None, True, [1], [None], ["x"], [{}], [[]], {"Id": 1}, [{"Id": None}], [{"Id": 5}]]


class Client:
    """Stands for a session and its ``api``: its answers all have one shape."""

    def __init__(self, answer):
        self._answer = answer
        self.api = self
        self.address = "unix:///x"
        self.http = SimpleNamespace(json=lambda _path: {"ApiVersion": "1.41"})

    def __getattr__(self, _name):
        return lambda *_arguments, **_options: self._answer


@contextmanager
def told(words):
    """Let pass what works (some shapes are whole answers) and what is told in these words, and nothing else."""
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
def test_an_answer_of_another_shape_is_told(question, shape):
    with told("cannot be understood"):
        QUESTIONS[question](Engine(Client(shape)))


@pytest.mark.parametrize("question", ["labelled", "everything", "nameless", "snapshot", "containers", "networks"])
def test_an_empty_dictionary_is_no_empty_list(question):
    with pytest.raises(EngineError, match="cannot be understood"):
        QUESTIONS[question](Engine(Client({})))


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def answering(**answers):
        class Asking:
            address = "unix:///x"

            def json(self, path):
                if path == "/version":
                    return {"ApiVersion": "1.41"}
                last = path.partition("?")[0].rpartition("/")[2]
                kind = "list" if path.startswith("/images/json") else {"json": "image", "history": "history"}[last]
                return answers[kind]

            def stream(self, path):
                raise EngineError(f"{self.address} packs nothing: {path}")

        session = SimpleNamespace(address=Asking.address, http=Asking())
        monkeypatch.setattr(docker_daemon, "lazy_engine", lambda: Engine(session))
        store = Store(tmp_path / "store")
        return transport.open_place("", "", store), store

    return answering


LISTED, IMAGE = [{"Id": "sha256:1", "Labels": {}}], {"Id": "sha256:1", "RootFS": {"Layers": []}}


@pytest.mark.parametrize("shape", SHAPES, ids=json.dumps)
@pytest.mark.parametrize("kind", ["list", "image", "history"])
def test_tree_and_layers_tell_answers_of_another_shape(engine, kind, shape):
    opened, store = engine(**{"list": LISTED, "image": IMAGE, "history": [], kind: shape})
    for ask in (
        lambda: build_tree(opened.list_images()),
        lambda: list_layers(open_in(opened, opened.find("x"), store)),
    ):
        with told("unix:///x"):
            ask()


FIELDS = [{}, [], "text", 5, None, True, [1], {"a": 1}, -1, 10**30, "\x1b[31m"]


@pytest.mark.parametrize("value", FIELDS, ids=json.dumps)
@pytest.mark.parametrize(
    "field",
    [
        *(("list", each) for each in ("Id", "Labels", "RepoTags", "Created", "Size")),
        *(("image", each) for each in ("Id", "RootFS", "RepoTags", "Config", "Created", "Os")),
        *(("history", each) for each in ("Created", "CreatedBy", "Comment")),
    ],
    ids=".".join,
)
def test_fields_of_another_shape_are_told(engine, field, value):
    where, name = field
    history = {"Created": 5, "CreatedBy": "x", "Comment": "y"}
    image = {**IMAGE, "RootFS": {"Layers": [f"sha256:{'1' * 64}"]}}
    answers = {"list": LISTED[0], "image": image, "history": history}
    answers[where] = {**answers[where], name: value}
    opened, store = engine(list=[answers["list"]], image=answers["image"], history=[answers["history"]])
    with told("unix:///x"):
        list(tree_lines(build_tree(opened.list_images(), nameless=True)))
    with told("unix:///x"):
        list_layers(open_in(opened, opened.find("x"), store))


def tree_lines(tree):
    for each in command_tree._render(tree):
        yield from each.lines() if isinstance(each, Table) else [each]


def test_no_list_is_not_no_images(engine):
    opened, _store = engine(list={}, image=IMAGE, history=[])
    with pytest.raises(EngineError, match="answered with dict; expected a list of images"):
        opened.list_images()
