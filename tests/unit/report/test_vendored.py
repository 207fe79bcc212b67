"""The report's third-party JavaScript has the pinned checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "plugins/plugin_utils/_core/report/vendor"


def test_vendored_files_match_their_pins():
    pins = json.loads((FOLDER / "pins.json").read_text())
    assert {path.name for path in FOLDER.iterdir()} == {"pins.json", *pins["files"]}
    for name, pin in pins["files"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == pin["sha256"], name
