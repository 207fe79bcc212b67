"""Contracts are found in the text of tests; what cannot be read may have some."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.marks import may_have_contracts

pytestmark = pytest.mark.once

MARKED = "import pytest\n@pytest.mark.contract\ndef test_it(): pass\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"test_it.py": "def test_it(): pass"}, False),
        ({"test_it.py": MARKED}, True),
        ({"more/it_test.py": MARKED}, True),
        ({"helper.py": MARKED, "test_it.py": "# pytest.mark.contract"}, False),
        ({"conftest.py": "def f(item): item.add_marker('contract')", "test_it.py": ""}, True),
        ({"test_it.py": "def test_it("}, True),
        ({"test_it.py": b"\xff\x00"}, True),
    ],
)
def test_contracts_are_found_without_an_import(tmp_path, files, found):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert may_have_contracts(tmp_path) is found


def test_a_missing_folder_may_have_contracts(tmp_path):
    assert may_have_contracts(tmp_path / "none")
