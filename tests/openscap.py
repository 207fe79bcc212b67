"""Scans the root file system of an image with OpenSCAP, and reads the table of rules in the core build's README.

The scanner of this machine and its libraries are copied into the files of the image, and run there with ``chroot``.
From outside, the scanner skips or misjudges many rules. The C library of the image must be at least as new as that of
this machine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

README = Path(__file__).parents[1] / "roles/corebuild/README.md"
SCANNER = "/usr/bin/oscap"
#: They contain the rules of the lower levels.
PROFILES = ("anssi_bp28_high", "cis_level2_server")

_RULE = "xccdf_org.ssgproject.content_rule_"
_XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
_C_LIBRARY = re.compile(r"/(ld-linux|lib(c|m|pthread|dl|rt)\.so)")

#: Needs root. It runs in its own mount namespace: rules about local file systems need the root folder to be a mount.
_SCAN = """
mount --make-rprivate / && mount --bind "$1" "$1" && cd "$1" || exit 90
mount -t proc proc proc && mount --rbind /dev dev || exit 91
exec env -i PATH="$2" LD_LIBRARY_PATH=/.oscap/lib chroot . /.oscap/oscap xccdf eval --profile "$3" \\
    --results /.oscap/results.xml /.oscap/content.xml
"""


def prepare(root: Path) -> None:
    """Copy the scanner of this machine into a root file system."""
    folder = root / ".oscap"
    (folder / "lib").mkdir(parents=True)
    shutil.copy(SCANNER, folder / "oscap")
    libraries = subprocess.run(["ldd", SCANNER], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+\.so\S*)", libraries):
        if not _C_LIBRARY.search(library):
            shutil.copy(library, folder / "lib")
    shutil.copytree("/usr/share/openscap", root / "usr/share/openscap", dirs_exist_ok=True)


def profiles(content: Path) -> list[str]:
    """The :data:`PROFILES` that a data stream contains."""
    text = content.read_text()
    return [profile for profile in PROFILES if f"content_profile_{profile}" in text]


def failing(root: Path, content: Path, profile: str, path: str, *, in_container: bool) -> set[str]:
    """The rules of a profile that fail on a prepared root file system.

    Args:
        root: The files of an image.
        content: A data stream of the SCAP Security Guide.
        profile: Its name without the prefix.
        path: ``PATH`` of the image.
        in_container: Whether the scanner detects a container. It then skips some rules.
    """
    shutil.copy(content, root / ".oscap/content.xml")
    mark = root / ".dockerenv"
    mark.touch() if in_container else mark.unlink(missing_ok=True)
    command = ["unshare", "--mount", "sh", "-c", _SCAN, "sh", str(root), path, profile]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    # Status 2 means that a rule fails.
    assert process.returncode in {0, 2}, f"oscap ended with {process.returncode}: {process.stderr[-2000:]}"
    results = ET.parse(root / ".oscap/results.xml").iter(f"{_XCCDF}rule-result")
    return {
        result.attrib["idref"].removeprefix(_RULE) for result in results if result.findtext(f"{_XCCDF}result") == "fail"
    }


def excused(text: str | None = None) -> Mapping[str, tuple[Sequence[str], str]]:
    """The table in the README: each rule with its images (empty means all) and the reason."""
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \| ([^|]+) \|$", text or README.read_text(), re.MULTILINE)
    return {
        rule: ([] if images == "all" else images.split(", "), reason)
        for rules, images, reason in rows
        for rule in re.findall(r"`([^`]+)`", rules)
    }
