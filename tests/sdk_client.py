"""The engine through its SDK, for tests and benches that look at it past the library."""

from __future__ import annotations

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.address import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.engine import ANSWER_TIMEOUT, Engine
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.sdk import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.session import Session


def sdk_client() -> docker.DockerClient:
    """Connect to the engine that the library would take; :func:`as_engine` asks the same one as the library does."""
    return connect(engine_address(), ANSWER_TIMEOUT)


def as_engine(client: docker.DockerClient) -> Engine:
    """Give the library's engine over a client that is connected already."""
    socket = getattr(client.api.get_adapter(client.api.base_url), "socket_path", None)
    session = Session(
        f"unix://{socket}" if socket else client.api.base_url.replace("http://", "tcp://"), ANSWER_TIMEOUT
    )
    session._client = client
    return Engine(session)
