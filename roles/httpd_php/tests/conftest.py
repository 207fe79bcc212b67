# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the tests of the web server: its settings, and a container that the tests share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

_SETTINGS = "/usr/local/lib/httpd-php/settings.sh"
_PAGE = "<?php header('Content-Type: application/json'); echo json_encode([%s]);"


@pytest.fixture(scope="session")
def settings(host) -> dict[str, str]:
    """Settings that the role wrote for its programs, by name: paths of the servers, port, stop timeout in seconds."""
    lines = host.file(_SETTINGS).content_string.splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture(scope="session")
def web(start_once) -> Any:
    """A healthy container of the image, started with one environment variable."""
    started = start_once(env={"GREETING": "hello there"})
    started.wait_healthy()
    return started


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[Any]]:
    """A function that evaluates PHP expressions in a page of the web server, and returns the list of their values."""

    def ask(web: Any, expressions: str, headers: Mapping[str, str] | None = None) -> list[Any]:
        result = web.host.run("printf %%s %s >/var/www/html/asked.php", _PAGE % expressions)
        assert result.rc == 0, result.stderr
        answer = web.http("/asked.php", headers=headers or {})
        assert answer.status == 200, answer.body
        values: list[Any] = json.loads(answer.body)
        return values

    return ask
