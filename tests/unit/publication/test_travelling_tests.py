"""Which tests travel with an image, and which cannot."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.travelling_tests import (
    travelling_tests,
)

CONTRACT = "import pytest\n\n@pytest.mark.contract\ndef test_it(host): pass\n"
ROLES = Path(__file__).parents[3] / "roles"


@pytest.fixture
def chosen(tmp_path):
    """A function that writes files, and returns the paths that travel."""

    def chosen(files):
        for name, text in files.items():
            path = tmp_path / "tests" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return sorted(travelling_tests(tmp_path / "tests"))

    return chosen


def test_contracts_travel_with_helpers_and_data_and_without_other_tests(chosen):
    files = {
        "test_contract.py": CONTRACT + "import json, helper\nfrom testinfra.host import Host\n",
        "conftest.py": "",
        "helper.py": "",
        "data/expected.json": "{}",
        "sub/test_more.py": CONTRACT,
        "test_own.py": "import docker, yaml\ndef test_it(): pass\n",
        "__pycache__/x.pyc": "",
        ".pytest_cache/v": "",
    }
    assert chosen(files) == ["conftest.py", "data/expected.json", "helper.py", "sub/test_more.py", "test_contract.py"]


def test_a_role_without_contracts_sends_nothing(chosen):
    assert chosen({"test_own.py": "def test_it(): 'a contract'\n", "conftest.py": ""}) == []


@pytest.mark.parametrize(
    "mark",
    ["pytestmark = pytest.mark.contract", "def test_it(request): request.node.add_marker('contract')"],
)
def test_marks_are_found_in_each_form(chosen, mark):
    assert chosen({"test_it.py": f"import pytest\n{mark}\n"}) == ["test_it.py"]


def test_a_conftest_that_marks_tests_sends_them_all(chosen):
    marks = "def pytest_collection_modifyitems(items):\n    for item in items: item.add_marker('contract')\n"
    assert chosen({"conftest.py": marks, "test_a.py": "", "test_b.py": ""}) == ["conftest.py", "test_a.py", "test_b.py"]


def test_a_test_file_that_a_contract_imports_travels(chosen):
    files = {"test_contract.py": CONTRACT + "from test_own import x\n", "test_own.py": "from test_b import y\n"}
    assert chosen({**files, "test_b.py": "", "test_c.py": ""}) == ["test_b.py", "test_contract.py", "test_own.py"]


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("import yaml", "yaml"),
        ("import requests.adapters", "requests"),
        ("from ansible_collections.acme.site import x", "ansible_collections"),
        ("def test_x():\n    import docker", "docker"),
        ("from ... import outside", r"\.\.\."),
        ("from ..outside import x", r"\.\.outside"),
    ],
)
def test_an_import_that_other_teams_lack_is_refused(chosen, line, module):
    expected = rf"^it cannot be published .*test_it.py imports {module}, which is not there.*importorskip"
    with pytest.raises(RunError, match=expected):
        chosen({"test_it.py": f"{CONTRACT}{line}\n"})


def test_a_missing_package_can_be_skipped(chosen):
    assert chosen({"test_it.py": CONTRACT + "yaml = pytest.importorskip('yaml')\n"}) == ["test_it.py"]


def test_links_travel_as_files_if_they_stay_in_the_folder(chosen, tmp_path):
    chosen({"test_it.py": CONTRACT, "a.json": "{}"})
    (tmp_path / "tests/b.json").symlink_to("a.json")
    assert travelling_tests(tmp_path / "tests")["b.json"].content == b"{}"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "/etc", ".", "missing"])
def test_other_links_are_refused(chosen, tmp_path, target):
    (tmp_path / "outside").write_text("")
    chosen({"test_it.py": CONTRACT})
    (tmp_path / "tests/link").symlink_to(target)
    with pytest.raises(RunError, match=r"^it cannot be published with its contract tests in .*link"):
        travelling_tests(tmp_path / "tests")


def test_a_file_that_cannot_be_parsed_is_named(chosen):
    with pytest.raises(RunError, match=r"cannot be published with its contract tests .*test_it.py"):
        chosen({"test_it.py": "def\n"})


def test_too_much_is_refused(chosen):
    with pytest.raises(RunError, match=r"the archive has \d+ bytes; at most 16777216 are allowed"):
        chosen({"test_it.py": CONTRACT, "data": "x" * (17 << 20)})


@pytest.mark.parametrize("role", ["corebuild", "httpd_php", "mariadb"])
def test_the_contracts_of_the_demo_chain_travel(role):
    assert "test_contract.py" in travelling_tests(ROLES / role / "tests")
