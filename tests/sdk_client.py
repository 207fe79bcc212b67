"""The engine through its SDK, for tests and benches that bypass the library."""

from __future__ import annotations

import io
import re
from typing import IO, Any

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import ANSWER_TIMEOUT, Engine
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.image_ids import ImageNames
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import names_of
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.sdk import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.session import EngineSession
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER, System


class _Translated(docker.APIClient):
    """The SDK on an engine with other image IDs and names. It translates them to those of the library."""

    naming: ImageNames

    def inspect_image(self, image: Any) -> Any:
        document = super().inspect_image(self.naming.engine_name(image))
        return {**document, "Id": self.naming.image_id(document["Id"]), "RepoTags": names_of(document)}

    def images(self, *arguments: Any, **options: Any) -> Any:
        entries = super().images(*arguments, **options)
        return [
            {**entry, "Id": self.naming.listed_id(entry["Id"], entry.get("Labels")), "RepoTags": names_of(entry)}
            for entry in entries
        ]

    def build(self, *arguments: Any, fileobj: IO[bytes], **options: Any) -> Any:
        dockerfile = re.sub(r"(?<=FROM )\S+", lambda match: self.naming.engine_name(match[0]), fileobj.read().decode())
        return super().build(*arguments, fileobj=io.BytesIO(dockerfile.encode()), **options)

    def create_container(self, image: str, *arguments: Any, **options: Any) -> Any:
        return super().create_container(self.naming.engine_name(image), *arguments, **options)

    def remove_image(self, image: str, **options: Any) -> Any:
        return super().remove_image(self.naming.engine_name(image), **options)

    def tag(self, image: str, *arguments: Any, **options: Any) -> Any:
        return super().tag(self.naming.engine_name(image), *arguments, **options)

    def get_image(self, image: str, *arguments: Any, **options: Any) -> Any:
        return super().get_image(self.naming.engine_name(image), *arguments, **options)

    def history(self, image: str) -> Any:
        return super().history(self.naming.engine_name(image))

    def commit(self, *arguments: Any, **options: Any) -> Any:
        return {"Id": self.naming.image_id(super().commit(*arguments, **options)["Id"])}


class _TranslatedClient(docker.DockerClient):
    """The same on top of a client. The library's engine keeps using this client."""

    def __init__(self, plain: docker.DockerClient, naming: ImageNames) -> None:
        self.plain = plain
        self.api = _Translated(_address(plain), version=plain.api.api_version, timeout=plain.api.timeout)
        self.api.naming = naming

    def close(self) -> None:
        super().close()
        self.plain.close()


def sdk_client(address: str = "") -> docker.DockerClient:
    """Connect to an engine, by default the one that the library uses. Images have the IDs and names of the library."""
    client = connect(address or engine_address(), ANSWER_TIMEOUT)
    session = _session(client)
    system = System(session)
    return client if system.kind() == DOCKER else _TranslatedClient(client, ImageNames(session, system.kind))


def as_engine(client: docker.DockerClient) -> Engine:
    """The library's engine on top of a connected client."""
    return Engine(_session(getattr(client, "plain", client)))


def _session(client: docker.DockerClient) -> EngineSession:
    session = EngineSession(_address(client), ANSWER_TIMEOUT)
    session._client = client
    return session


def _address(client: docker.DockerClient) -> str:
    socket = getattr(client.api.get_adapter(client.api.base_url), "socket_path", None)
    return f"unix://{socket}" if socket else client.api.base_url.replace("http://", "tcp://")
