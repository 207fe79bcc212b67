"""The engine through its SDK, for tests and benches that look at it past the library."""

from __future__ import annotations

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.address import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.engine import ANSWER_TIMEOUT
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.sdk import connect


def sdk_client() -> docker.DockerClient:
    """Connect to the engine that the library would take; `Engine(client)` asks the same one as the library does."""
    return connect(engine_address(), ANSWER_TIMEOUT)
