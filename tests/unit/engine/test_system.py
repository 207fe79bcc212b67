from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import system as engine_system
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.session import EngineIdentity, names_podman
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import System


@pytest.mark.parametrize(
    ("version", "is_podman"),
    [
        ({"Version": "20.10.24", "Components": [{"Name": "Engine"}, {"Name": "containerd"}]}, False),
        ({"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}, True),
        ({"Version": "19.03"}, False),
        ({"Version": "1", "Components": None}, False),
    ],
)
def test_the_kind_is_recognised_from_the_version(version, is_podman):
    assert names_podman(version) is is_podman
    assert engine_system.recognise(EngineIdentity("1.41", is_podman), dict).commits_mount_points is is_podman


CONTAINERD = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}


@pytest.mark.parametrize(
    ("api", "info", "expected"),
    [
        ("1.51", CONTAINERD, engine_system.CONTAINERD),
        ("1.51", {"DriverStatus": [["Backing Filesystem", "extfs"]]}, engine_system.DOCKER),
        ("1.51", {"DriverStatus": None}, engine_system.DOCKER),
        ("1.41", CONTAINERD, engine_system.DOCKER),  # its information is not requested
    ],
)
def test_the_image_store_is_recognised_if_the_api_supports_two(api, info, expected):
    assert engine_system.recognise(EngineIdentity(api, is_podman=False), lambda: info) is expected


def test_an_engine_is_asked_only_once():
    class Client:
        requests = 0

        def identity(self):
            self.requests += 1
            return EngineIdentity("1.41", is_podman=True)

    client = Client()
    system = System(client)
    assert system.kind() is system.kind() is engine_system.PODMAN
    assert client.requests == 1
