"""The source for Event-Driven Ansible: loaded as ansible-rulebook loads it, with a registry of another team."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from fake_registry import fake_registry
from published_images import publish, tier_layer

pytestmark = pytest.mark.once

EDA = Path(__file__).parents[3] / "extensions/eda"
SOURCE = EDA / "plugins/event_source/releases.py"
#: The part of the rules of ansible-rulebook that our rulebooks use.
TEXT = {"type": "string", "minLength": 1}
RULE = {
    "type": "object",
    "required": ["name", "condition", "action"],
    "additionalProperties": False,
    "properties": {
        "name": TEXT,
        "condition": TEXT,
        "action": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {
                "run_playbook": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
                "print_event": {
                    "type": "object", "additionalProperties": False, "properties": {"pretty": {"type": "boolean"}}
                },
            },
        },
    },
}  # fmt: skip
RULEBOOK = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["name", "hosts", "sources", "rules"],
        "additionalProperties": False,
        "properties": {
            "name": TEXT,
            "hosts": TEXT,
            "sources": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["tierwright.chain.releases"]},
            },
            "rules": {"type": "array", "minItems": 1, "items": RULE},
        },
    },
}


@pytest.fixture
def source():
    return runpy.run_path(str(SOURCE))


@pytest.fixture
def registry():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def inventory(tmp_path, monkeypatch, registry):
    """An inventory that follows the core build of another team."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / name))
    follow = {"tier_follow": {"image": f"{registry.host}/operations/corebuild", "tag": "stable"}}
    settings = {"tier_chain": "shop", "watch_follow": True, "watch_interval": 1, "watch_listen": ""}
    tiers = {"vars": settings, "children": {"operations": {"hosts": {"corebuild": follow}}}}
    file = tmp_path / "inventory.yml"
    file.write_text(yaml.safe_dump({"tiers": tiers}))
    return file


def test_a_release_of_another_team_is_an_event_and_so_is_the_next_one(source, registry, inventory):
    async def listen():
        queue = asyncio.Queue()
        first, _config = publish(registry, "operations/corebuild", "stable", [tier_layer(1)])
        args = {"inventory": [str(inventory)], "eda_feedback_queue": None}
        task = asyncio.create_task(source["main"](queue, args))
        try:
            events = [await asyncio.wait_for(queue.get(), 60)]
            second, _config = publish(registry, "operations/corebuild", "stable", [tier_layer(2)])
            events.append(await asyncio.wait_for(queue.get(), 60))
        finally:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [first, second], events

    digests, events = asyncio.run(listen())
    for digest, event in zip(digests, events, strict=True):
        assert {name: event[name] for name in ("what", "about", "tiers")} == {
            "what": "followed",
            "about": "shop",
            "tiers": [{"tier": "corebuild", "digest": digest}],
        }
        assert "operations/corebuild:stable" in event["reasons"][0]
        json.dumps(event)  # ansible-rulebook passes it to a rule engine as JSON


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inventroy": "x"}, "the source has no option 'inventroy'; expected inventory, arguments, repeat"),
        ({"inventory": [1]}, r"the option inventory is \[1\]; expected a list of strings"),
        ({"repeat": "often"}, "the option repeat is 'often'; expected a number of seconds"),
    ],
)
def test_a_wrong_option_ends_the_source_with_a_sentence(source, options, message):
    with pytest.raises(ChainError, match=message):
        asyncio.run(source["main"](asyncio.Queue(), options))


def test_a_wrong_inventory_ends_the_source_with_a_sentence(source, inventory):
    inventory.write_text(inventory.read_text().replace("watch_follow: true", "watch_follow: false"))
    with pytest.raises(ChainError, match="there is nothing to watch"):
        asyncio.run(source["main"](asyncio.Queue(), {"inventory": str(inventory)}))


def test_a_missing_package_is_named(tmp_path):
    """The environment of ansible-rulebook is a Python without Tierwright."""
    copy = tmp_path / "releases.py"
    copy.write_text(SOURCE.read_text())
    command = [sys.executable, "-I", "-S", copy]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "the source tierwright.chain.releases needs the Python package tierwright" in process.stderr


def test_the_documentation_and_the_options_agree(source):
    documentation = yaml.safe_load(source["DOCUMENTATION"])
    defaults = {name: option["default"] for name, option in documentation["options"].items()}
    assert defaults == source["_DEFAULTS"]
    assert set(yaml.safe_load(source["EXAMPLES"])[0]["tierwright.chain.releases"]) <= set(defaults)


@pytest.mark.parametrize("rulebook", sorted(EDA.glob("rulebooks/*")), ids=lambda path: path.name)
def test_a_rulebook_has_the_form_that_ansible_rulebook_expects(rulebook):
    content = yaml.safe_load(rulebook.read_text())
    jsonschema.validate(content, RULEBOOK)
    playbooks = [
        rule["action"]["run_playbook"]["name"]
        for ruleset in content
        for rule in ruleset["rules"]
        if "run_playbook" in rule["action"]
    ]
    assert playbooks
    for name in playbooks:
        assert (EDA.parents[1] / "playbooks" / f"{name.removeprefix('tierwright.chain.')}.yml").is_file()
