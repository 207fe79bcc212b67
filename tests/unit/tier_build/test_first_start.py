"""The engine and the kernel decide whether an image can be started. The exit status of its program does not matter."""

from __future__ import annotations

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.services import ServiceState
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ContractError,
    EngineError,
    EngineUnavailableError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build import image_tests
from fake_engine import FakeEngine


@pytest.fixture
def start(make_image):
    """Check the start of an image whose container ends with a code and a log, and that the container is removed."""

    def run(config, *, code=None, log="", error=None):
        engine, removed = FakeEngine(), []

        def begin(setting):
            assert not setting.networks
            assert setting.labels == {"a": "b"}
            if error is not None:
                raise error
            return "container"

        engine.services.start = begin
        engine.services.state = lambda _container: ServiceState(code is None, code, None, {})
        engine.services.logs = lambda _container, _lines: log
        engine.containers.remove = removed.append
        try:
            image_tests.check_start(
                engine, msgspec.structs.replace(make_image("web", {}), config=config), tier="web", labels={"a": "b"}
            )
        finally:
            assert removed == (
                ["container"] if error is None and (config.get("Cmd") or config.get("Entrypoint")) else []
            )

    return run


CMD = {"Cmd": ["serve"], "User": "1001"}


@pytest.mark.parametrize(
    ("code", "log"),
    [
        (None, ""),
        (0, ""),
        (1, "error: database is uninitialized and password option is not specified\n"),
        (127, "/usr/bin/serve: 3: exec: apache3: not found\n"),
        (3, "exec /usr/bin/serve: no such file or directory\n"),
    ],
)
def test_a_program_that_ends_in_any_way_was_started(start, code, log):
    start(CMD, code=code, log=log)


@pytest.mark.parametrize(
    "log",
    [
        "standard_init_linux.go:228: exec user process caused: no such file or directory\n",
        "exec /usr/bin/serve: exec format error\n",
        "exec /usr/bin/serve: no such file or directory",
    ],
)
@pytest.mark.parametrize("code", [1, 255])
def test_a_program_that_the_kernel_cannot_execute_was_not_started(start, code, log):
    with pytest.raises(ContractError, match=r"tier 'web': its image cannot be started with cmd \['serve'\], user"):
        start(CMD, code=code, log=log)


def test_the_error_of_the_engine_is_reported(start):
    refusal = EngineError('starting x: the engine says: exec: "serve": executable file not found in $PATH')
    with pytest.raises(ContractError, match=r': exec: "serve": executable file not found in \$PATH; correct'):
        start(CMD, error=refusal)


def test_an_unavailable_engine_is_not_an_error_of_the_image(start):
    with pytest.raises(EngineUnavailableError):
        start(CMD, error=EngineUnavailableError("the engine stopped answering"))


def test_an_image_without_a_command_is_not_started(start):
    start({"Cmd": [], "User": "1001"}, error=EngineError("never"))
