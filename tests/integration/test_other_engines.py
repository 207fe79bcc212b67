"""The engine checks on the supported engines, and the demo chain on containerd's image store.

A change is checked on one Docker and one Podman besides this machine's engine, and `make soak` checks all of them.
"""

from __future__ import annotations

import pytest

from engines.catalogue import CHOICES
from other_engines import (
    assert_same_answers,
    build_and_query,
    local_answers,
    run_engine_contract,
    without_core,
)
from sampled import NEWEST_CORE

pytestmark = [pytest.mark.once, pytest.mark.own_engine]

#: The version of this machine's own engine, which `tests/engines` checks.
OWN = "docker-20"


@pytest.mark.sampled
@pytest.mark.parametrize("name", [name for name in CHOICES if name.startswith("docker") and name != OWN])
def test_docker_answers_like_the_fake_engine(name):
    run_engine_contract(name)


@pytest.mark.sampled
@pytest.mark.parametrize("name", [name for name in CHOICES if not name.startswith("docker")])
def test_podman_answers_like_the_fake_engine(name):
    run_engine_contract(name)


@pytest.mark.sampled("another ansible-core")
@pytest.mark.usefixtures("demo")
def test_the_demo_chain_is_the_same_on_containerd_s_store_with_the_newest_ansible_core(tmp_path):
    """One build shows both. `tests/soak/test_engines.py` also compares the IDs of images, with one ansible-core."""
    core = NEWEST_CORE if NEWEST_CORE.exists() else None
    answers = build_and_query("docker-28-containerd", tmp_path, core)
    assert_same_answers(without_core(answers), without_core(local_answers()))
