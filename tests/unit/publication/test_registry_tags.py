"""Tags in registries move together, or the next run moves the rest."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.parent_process import ParentProcess
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import (
    RegistryMove,
    finish_moves,
    move_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import fake_registry

TIERS = ("base", "web", "shop")
OLD, NEW = b'{"config": {"digest": "old"}}', b'{"config": {"digest": "new"}}'


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))


@pytest.fixture
def registry():
    with fake_registry() as registry:
        for tier in TIERS:
            registry.put(tier, "latest", OLD)
            registry.put(tier, registry.put(tier, "x", NEW), NEW)
        yield registry


def moves(registry):
    old, new = registry.tags["base", "latest"], registry.tags["base", "x"]
    return [RegistryMove(registry.host, tier, "latest", old, new, tier) for tier in TIERS]


def moved(registry):
    return [tier for tier in TIERS if registry.manifests[tier, registry.tags[tier, "latest"]] == NEW]


def records():
    return list(state_folder("chain").glob("publication*.json*"))


def test_all_tags_move(registry):
    move_tags("chain", moves(registry), RegistryWriter, ParentProcess())
    assert moved(registry) == list(TIERS)
    assert records() == []


def test_no_tag_moves_if_somebody_else_published(registry):
    planned = moves(registry)
    registry.put("shop", "latest", b'{"config": {"digest": "theirs"}}')
    with pytest.raises(RunError, match=r"shop:latest named sha256:\w+ a moment ago.*somebody else published it"):
        move_tags("chain", planned, RegistryWriter, ParentProcess())
    assert moved(registry) == []
    assert records() == []


@pytest.mark.parametrize("count", range(3))
def test_the_next_run_finishes_what_was_interrupted(registry, count):
    planned, allowed = moves(registry), [None] * count
    registry.fault = lambda method, _path: (allowed.pop() if allowed else 500) if method == "PUT" else None
    with pytest.raises(EngineError, match="the next run moves the others"):
        move_tags("chain", planned, RegistryWriter, ParentProcess())
    assert moved(registry) == list(TIERS[:count])
    registry.fault = lambda _method, _path: None
    lines = []
    finish_moves("chain", lines.append, RegistryWriter)
    assert moved(registry) == list(TIERS)
    assert lines == ["a publication was interrupted: its last tags have moved now"]
    assert records() == []


def test_a_tag_that_somebody_else_moved_since_stays(registry):
    planned = moves(registry)
    registry.fault = lambda method, _path: 500 if method == "PUT" else None
    with pytest.raises(EngineError):
        move_tags("chain", planned, RegistryWriter, ParentProcess())
    registry.fault = lambda _method, _path: None
    theirs = registry.put("web", "latest", b'{"config": {"digest": "theirs"}}')
    lines = []
    finish_moves("chain", lines.append, RegistryWriter)
    assert registry.tags["web", "latest"] == theirs
    assert moved(registry) == ["base", "shop"]
    assert "web:latest names" in lines[0]


def test_an_image_that_was_removed_is_reported(registry):
    planned = moves(registry)
    registry.fault = lambda method, _path: 500 if method == "PUT" else None
    with pytest.raises(EngineError):
        move_tags("chain", planned, RegistryWriter, ParentProcess())
    registry.fault = lambda _method, _path: None
    del registry.manifests["base", planned[0].after]
    lines = []
    finish_moves("chain", lines.append, RegistryWriter)
    assert "base:latest cannot be moved" in lines[0]
    assert moved(registry) == ["web", "shop"]


@pytest.mark.usefixtures("registry")
def test_a_damaged_record_is_set_aside():
    state_folder("chain").mkdir(parents=True)
    (state_folder("chain") / "publication.json").write_text('[{"host": 1}]')
    lines = []
    finish_moves("chain", lines.append, RegistryWriter)
    assert "check these tags" in lines[0]
    assert not (state_folder("chain") / "publication.json").exists()


def test_nothing_to_finish(registry):
    finish_moves("chain", pytest.fail, RegistryWriter)
    move_tags("chain", [], RegistryWriter, ParentProcess())
    assert moved(registry) == []


class Killed(ParentProcess):
    """A parent process that is killed after some looks at it."""

    def __init__(self, looks):
        super().__init__()
        self.left = looks

    def has_ended(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("looks", range(4))
def test_no_more_tags_move_when_the_run_was_killed(registry, looks):
    with pytest.raises(RunError, match="the run was killed"):
        move_tags("chain", moves(registry), RegistryWriter, Killed(looks))
    assert moved(registry) == list(TIERS)[: max(0, looks - 1)]
    assert len(records()) == (looks > 0)
    finish_moves("chain", print, RegistryWriter)
    assert moved(registry) == (list(TIERS) if looks else [])
