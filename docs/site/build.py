"""Writes the documentation as a site: `python docs/site/build.py FOLDER`. Any warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.cmd.build import main

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def build(folder: Path) -> int:
    """Write the site to a folder, which need not exist; return Sphinx's exit status."""
    # All warnings are shown before the build fails. Sphinx's cache is outside of the site.
    strict = ("--fail-on-warning", "--fresh-env", "--quiet", "--jobs", "auto")
    cache = ("--doctree-dir", str(folder.with_name(f"{folder.name}-cache")))
    return main([*strict, *cache, "--conf-dir", str(HERE), "--builder", "html", str(ROOT), str(folder)])


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]).resolve()))
