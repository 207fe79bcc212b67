# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the core build says that it promises."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture(scope="session")
def promises(host) -> dict[str, Any]:
    """The record that the role leaves in the image: the tests ask whether the image is what it says."""
    record: dict[str, Any] = json.loads(host.file("/usr/share/corebuild/promises.json").content_string)
    return record
