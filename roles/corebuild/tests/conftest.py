# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the tests of the core build."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture(scope="session")
def promises(host) -> dict[str, Any]:
    """The settings that the role recorded in the image. The tests check that the image has these settings."""
    record: dict[str, Any] = json.loads(host.file("/usr/share/corebuild/promises.json").content_string)
    return record
