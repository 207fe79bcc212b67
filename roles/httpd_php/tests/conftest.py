# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The web server's own settings, and one container of it that tests share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

_SETTINGS = "/usr/local/lib/httpd-php/settings.sh"
_PAGE = "<?php header('Content-Type: application/json'); echo json_encode([%s]);"


@pytest.fixture(scope="session")
def settings(host) -> dict[str, str]:
    """What the role told the programs that it installs: paths of the servers, port, time to stop."""
    lines = host.file(_SETTINGS).content_string.splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture(scope="session")
def web(start_once) -> Any:
    """The image as its users start it, without any setting; healthy."""
    started = start_once()
    started.wait_healthy()
    return started


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[Any]]:
    """Lets a page evaluate PHP expressions, and returns the list of what they are."""

    def ask(web: Any, expressions: str, headers: Mapping[str, str] | None = None) -> list[Any]:
        written = web.host.run("printf %%s %s >/var/www/html/asked.php", _PAGE % expressions)
        assert written.rc == 0, written.stderr
        answer = web.http("/asked.php", headers=headers or {})
        assert answer.status == 200, answer.body
        values: list[Any] = json.loads(answer.body)
        return values

    return ask
