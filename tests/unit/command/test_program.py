"""The command as a program: what it imports, and which version it says it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright, version


def test_the_command_imports_neither_ansible_nor_the_sdk():
    script = (
        f"import sys; from {tierwright.callback.__module__} import tierwright\n"
        "try: tierwright(['--help'])\n"
        "except SystemExit: print(*sorted(sys.modules))\n"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = set(process.stdout.splitlines()[-1].split())
    assert not modules & {"ansible", "cryptography", "docker", "requests", "rich", "yaml"}


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("MANIFEST.json", '{"collection_info": {"version": "1.2.3"}}', "1.2.3"),
        ("MANIFEST.json", "[]", "unknown"),
        ("galaxy.yml", "name: chain\nversion: 1.2.3\n", "1.2.3"),
        ("galaxy.yml", "name: chain\n", "unknown"),
        ("README.md", "", "unknown"),
    ],
)
def test_the_version_without_an_installed_distribution(tmp_path, file, content, expected):
    (tmp_path / file).write_text(content)
    assert version(tmp_path) == expected
