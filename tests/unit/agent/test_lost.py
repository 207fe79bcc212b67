"""Why an agent was lost, with the answers of engines."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.fallback import explain_loss
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import api_requests
from served import http_server

#: Podman's answer if a container is removed while the request looks at it.
PODMAN_REMOVES = {
    "cause": "no such container",
    "message": "container bf3b88a7 does not exist in database: no such container",
    "response": 500,
}
GONE = "build container c1 does not exist any more; it was removed"


@pytest.mark.parametrize("directly", [True, False])
@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (404, {"message": "No such container: c1"}, GONE),
        (500, PODMAN_REMOVES, GONE),
        (200, {"State": {"Running": False, "Status": "exited", "ExitCode": 137}}, "is exited (exit status 137)"),
        (500, {"message": "database is locked"}, "the engine stopped answering in the middle of a command: looking at"),
    ],
)
def test_the_reason_is_what_the_engine_knows_of_the_container(monkeypatch, directly, status, answer, reason):
    def respond(path, _headers):
        if "/containers/c1/json" in path:
            return status, {}, json.dumps(answer).encode()
        return 200, {}, b'{"ApiVersion": "1.41"}'

    if not directly:
        monkeypatch.setattr(api_requests, "reachable_directly", lambda _address: False)
    with http_server(respond) as host:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}")
        assert reason in explain_loss("c1")
