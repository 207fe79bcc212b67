"""Canaries: the password of a registry is in no output, command line or container, and in no file but the user's."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from fake_registry import fake_registry
from publishing import TIERS, MadeChain
from real_registry import docker_registry

from .conftest import WRITE
from .process_watch import ProcessWatch
from .test_secrets import files_below, image_bytes, leaks

pytestmark = pytest.mark.once

USER = "canary-user"
#: Hashes a password as the registry requires it. Python's own module for this is gone in new versions.
BCRYPT = "my $password = <STDIN>; chomp $password; print crypt($password, '$2b$04$' . 'a' x 22);"


@pytest.fixture
def password():
    return f"TWCANARY:{secrets.token_hex(8)}/+ö"


@pytest.fixture
def canaries(password):
    """The forms in which the password could appear."""
    login = f"{USER}:{password}".encode()
    return {
        "plain": password,
        "ascii": json.dumps(password)[1:-1],
        "header": base64.b64encode(login).decode(),
        "address": quote(password, safe=""),
    }


@pytest.fixture
def closed(tmp_path_factory, password):
    """A registry that requires a login."""
    folder = tmp_path_factory.mktemp("closed")
    hashed = subprocess.run(["perl", "-e", BCRYPT], input=password.encode(), capture_output=True, check=True).stdout
    (folder / "users").write_bytes(f"{USER}:".encode() + hashed + b"\n")
    with docker_registry(folder, f"auth: {{htpasswd: {{realm: here, path: {folder}/users}}}}\n") as host:
        yield host, folder


@pytest.fixture
def own_environment(environment, tmp_path):
    """The environment of a user with no credentials."""
    home = tmp_path / "docker"
    home.mkdir()
    return {**environment, "DOCKER_CONFIG": str(home), "XDG_RUNTIME_DIR": str(tmp_path)}


def log_in(environment, host, password):
    login = base64.b64encode(f"{USER}:{password}".encode()).decode()
    Path(environment["DOCKER_CONFIG"], "config.json").write_text(json.dumps({"auths": {host: {"auth": login}}}))


def nothing_is_left(environment, canaries, output, watch):
    assert leaks(output, canaries) == []
    assert len(watch.seen) > 4
    assert leaks(b"\0".join(watch.seen), canaries) == []
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        assert leaks(files_below(Path(environment[variable])), canaries) == []
    assert leaks(files_below(Path("/tmp"), "tierwright*"), canaries) == []


@pytest.mark.parametrize("source", ["config.json", "variables"])
def test_a_password_stays_where_the_user_put_it(closed, engine, own_environment, canaries, password, tmp_path, source):
    host, folder = closed
    chain = MadeChain(tmp_path, host, int(host.rpartition(":")[2]), engine, own_environment)
    own = {} if source == "config.json" else {"tier_registries": {host: {"username": USER, "password": password}}}
    chain.write(**own)
    chain.release()
    try:
        wrong = {"tier_registries": {host: {"username": USER, "password": "wrong"}}}
        refused = chain.publish("-e", json.dumps(wrong), code=2)
        assert "HTTP status 401" in refused
        assert "password" not in refused
        assert leaks(refused, canaries) == []
        if source == "config.json":
            log_in(own_environment, host, password)
        with ProcessWatch(engine) as watch:
            output = chain.publish("-vvv")
        nothing_is_left(own_environment, canaries, output, watch)
        assert leaks(files_below(folder / "data"), canaries) == []
        for tier in TIERS:
            assert leaks(image_bytes(engine, f"{chain.image(tier)}:latest", tmp_path), canaries) == []
    finally:
        chain.clear()


def test_a_token_stays_in_the_process_that_got_it(engine, own_environment, canaries, password, tmp_path):
    with fake_registry() as registry:
        host = f"localhost:{registry.server_port}"
        chain = MadeChain(tmp_path, host, registry.server_port, engine, own_environment)
        chain.write()
        chain.release()
        registry.require_login(USER, password)
        log_in(own_environment, host, password)
        try:
            with ProcessWatch(engine) as watch:
                output = chain.publish("-vvv")
            assert registry.tokens
            nothing_is_left(own_environment, {**canaries, **{token: token for token in registry.tokens}}, output, watch)
        finally:
            chain.clear()


def test_a_build_that_publishes_keeps_the_password_to_itself(
    small_chain, closed, engine, own_environment, canaries, password, tmp_path
):
    host, folder = closed
    variables = small_chain.folder / "group_vars/all"
    variables.mkdir(parents=True)
    (variables / "main.yml").write_text(
        json.dumps({"tier_registries": {host: {"username": USER, "password": password}}, "tier_publish": True})
    )
    name = f"{host}/{small_chain.name}/one"
    small_chain.tier("one", WRITE, parent="base", image=name)
    with ProcessWatch(engine) as watch:
        result = small_chain.build("-vvv", env=own_environment).expect()
    assert name in result.output
    nothing_is_left(own_environment, canaries, result.output, watch)
    assert leaks(files_below(folder / "data"), canaries) == []
    image = small_chain.image("one")
    assert leaks(json.dumps([image.attrs, image.history()]), canaries) == []
    report = tmp_path / "report"
    command = ["tierwright", "report", small_chain.name, "--no-outdated", "--output", str(report)]
    process = subprocess.run(command, env=own_environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert leaks(files_below(report), canaries) == []
