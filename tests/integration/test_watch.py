"""`tierwright watch` builds upon newer images of another team, and notices names in the engine."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.engine_source import (
    follow_engine,
    is_of_interest,
)

from .conftest import BIN, ROOT, WRITE
from .removal import remove_images
from .test_follow import CHANGED, Teams

pytestmark = pytest.mark.once

SLOW = "\n- name: Wait\n  ansible.builtin.raw: sleep 30\n"


@pytest.fixture
def teams(tmp_path, make_chain, registry, playbook, engine):
    for name in ("operations", "development"):
        (tmp_path / name).mkdir()
    with make_chain(tmp_path / "operations") as operations, make_chain(tmp_path / "development") as development:
        teams = Teams(operations, development, registry, playbook)
        yield teams
        remove_images(engine, f"reference={development.name}/core")


@pytest.fixture
def watch(teams, environment, tmp_path):
    """Start a watcher of development, with a state folder of its own for its records."""
    switches = json.dumps({"watch_follow": True, "watch_listen": "", "watch_interval": 2})
    started = []

    def start(*options):
        inventory = str(teams.development.write())
        command = [BIN / "tierwright", "watch", "-i", inventory, "-e", switches, *options]
        output = (tmp_path / f"watch-{len(started)}").open("w+")
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        process.output = lambda: output.seek(0) or output.read()
        started.append((process, output))
        return process

    yield start
    for process, output in started:
        process.kill()
        process.wait()
        output.close()


def wait_for(condition, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, process.output()
        time.sleep(0.1)


def test_a_newer_image_is_locked_and_built_upon_also_after_a_kill(teams, watch):
    development = teams.development
    teams.publish()
    once = watch("--once")
    assert once.wait(300) == 0, once.output()
    first = teams.locked()
    assert development.image("app").labels["io.tierwright.parent"] == first["config"]
    again = watch("--once")
    assert (again.wait(300), again.output()) == (0, "")

    development.tier("app", WRITE + SLOW, parent="core")
    teams.operations.tier("core", CHANGED, parent="base", image=teams.image, config={"cmd": ["sh"]})
    teams.publish()
    killed = watch()
    wait_for(lambda: "begins as run follow-" in killed.output(), killed)
    wait_for(lambda: teams.locked() != first, killed)
    time.sleep(5)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    development.tier("app", WRITE, parent="core")
    following = watch()
    wait_for(lambda: "succeeded after" in following.output(), following)
    assert "was interrupted" in following.output()
    assert development.image("app").labels["io.tierwright.parent"] == teams.locked()["config"]
    assert development.run("app", "cat", "/etc/more") == "two\n"
    following.terminate()
    assert following.wait(60) == 0, following.output()


def test_a_name_that_moves_in_the_engine_is_noticed(teams, engine):
    teams.operations.build().expect()
    image, name = teams.operations.image("core"), f"{teams.operations.name}/noticed"
    stop, noticed, connected = threading.Event(), threading.Event(), threading.Event()

    def take(event):
        if is_of_interest(event, {f"{name}:latest"}):
            noticed.set()

    def connect_and_tell():
        connected.set()
        return connect()

    thread = threading.Thread(target=follow_engine, args=(connect_and_tell, take, print, print, stop), daemon=True)
    thread.start()
    assert connected.wait(30)
    for attempt in range(100):
        image.tag(name, tag="latest" if attempt % 2 else None)
        if noticed.wait(0.5):
            break
    stop.set()
    image.tag(name)  # the last event ends the stream
    thread.join(30)
    engine.images.remove(f"{name}:latest")
    assert noticed.is_set()
    assert not thread.is_alive()
