"""Third-party JavaScript of the report and of the site has the pinned checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("folder", ["plugins/plugin_utils/_core/report/vendor", "docs/site/vendor"])
def test_vendored_files_match_their_pins(folder):
    pins = json.loads((ROOT / folder / "pins.json").read_text())
    assert {path.name for path in (ROOT / folder).iterdir()} == {"pins.json", *pins["files"]}
    for name, pin in pins["files"].items():
        assert hashlib.sha256((ROOT / folder / name).read_bytes()).hexdigest() == pin["sha256"], name
