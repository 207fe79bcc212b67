"""The command `tierwright` in tests: how to run it, and what its answers mean."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from .conftest import BIN


@dataclass(frozen=True)
class Answer:
    """What a finished command printed."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.errors
        return json.loads(self.output)


@pytest.fixture(scope="module", name="tierwright")
def tierwright_fixture(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Answer]:
    """Run the command. Within one test file, it reads each layer only once, because the runs share a cache."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}

    def run(*arguments: str, **variables: str) -> Answer:
        process = subprocess.run(
            [str(BIN / "tierwright"), *arguments],
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert "Traceback" not in process.stderr, process.stderr
        return Answer(process.returncode, process.stdout, process.stderr)

    return run


def packages_after_each_layer(answer: dict[str, Any]) -> list[dict[str, str]]:
    """Versions of the installed packages after each layer, computed from the changes in an answer of `layers`."""
    states: list[dict[str, str]] = []
    packages: dict[str, str] = {}
    for layer in answer["layers"]:
        for change in layer["packages"]:
            key = f"{change['name']}:{change['architecture']}"
            assert packages.get(key) == change["before"]
            packages = {name: version for name, version in packages.items() if name != key}
            if change["after"] is not None:
                packages[key] = change["after"]
        assert layer["installed"] == len(packages)
        states.append(packages)
    return states
