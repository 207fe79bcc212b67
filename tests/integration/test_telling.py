"""The output of a run: each failure once and completely, results for programs, no escape sequences."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from .conftest import MakeChain, SmallChain

SCHEMA = Path(__file__).parents[2] / "docs/schemas/tier_result_file.json"

BEFORE = """
- name: Install the company's CA
  ansible.builtin.copy:
    src: ca.crt
    dest: /usr/local/share/company.crt
    mode: "0644"
- name: Notice a proxy
  ansible.builtin.shell: printf %s "$http_proxy" > /usr/local/share/proxy
"""

RESCUED = """
- block:
    - name: Ask a program
      ansible.builtin.command: printf '\\033]0;title\\007\\033[2J'
      register: said
    - name: Try what cannot be
      ansible.builtin.fail: {msg: "{{ said.stdout }}"}
  rescue:
    - name: Go on
      ansible.builtin.command: /bin/true
- name: Include what is not there
  ansible.builtin.include_tasks: missing.yml
"""

TEST = r"""
def test_it(host):
    assert False, "\x1b]0;title\x07\x1b[31mred"
"""

PASSES = "def test_it(host):\n    assert host.file('/usr/local/share/company.crt').content_string == 'our CA'\n"

CALLBACK = """
from ansible.plugins.callback import CallbackBase
DOCUMENTATION = "name: document\\ntype: stdout\\nshort_description: x\\ndescription: x\\n"
class CallbackModule(CallbackBase):
    CALLBACK_TYPE, CALLBACK_NAME, CALLBACK_VERSION = "stdout", "document", 2.0
    def v2_playbook_on_stats(self, stats):
        self._display.display('{"document": true}')
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, make_chain: MakeChain):
    folder = tmp_path_factory.mktemp("telling")
    with make_chain(folder) as small_chain:
        (folder / "files").mkdir()
        (folder / "files/ca.crt").write_text("our CA")
        (folder / "before.yml").write_text(BEFORE)
        (folder / "after.yml").write_text("- ansible.builtin.file: {path: /after, state: touch, mode: '0644'}\n")
        nothing = "- ansible.builtin.meta: noop\n"
        helper = folder / "roles/helper/tasks"
        helper.mkdir(parents=True)
        (helper / "main.yml").write_text("- ansible.builtin.file: {path: /helper, state: touch, mode: '0644'}\n")
        include = "- ansible.builtin.include_role: {name: helper}\n"
        small_chain.tier("one", include, parent="base", before=["before.yml"], after=["after.yml"], proxy=True)
        small_chain.tier("two", RESCUED, parent="one").tier("three", nothing, parent="one")
        small_chain.tests("one", PASSES).tests("three", TEST)
        yield small_chain


@pytest.fixture(scope="module")
def failed(chain: SmallChain):
    arguments = (
        "-e",
        f"tier_result_file={chain.folder}/result.json",
        "-e",
        f"tier_junit_file={chain.folder}/junit.xml",
    )
    return chain.build(*arguments, env={"http_proxy": "http://proxy.example:3128"}).expect(2)


def test_a_failure_is_reported_once_completely_and_last(failed: Any, chain: SmallChain) -> None:
    summary = failed.output.rpartition("TIER ")[2]
    assert "FAILED two\n  task 'Include what is not there' (two/tasks/main.yml:" in summary
    assert re.search(r"Could not find or access '\S*missing.yml'", summary)
    assert "Try what cannot be" not in summary
    assert re.search(rf"three +{chain.name}/three:failed-\S+ .* rejected: 1 of 1 tests fail", summary)
    assert f"docker run --rm --interactive --tty --entrypoint /bin/sh {chain.name}/three:failed-" in summary
    assert "pytest" in summary
    assert summary.rstrip().endswith("build-chain.yml  # and the same -e")
    assert failed.output.count("possible causes, changed since") == failed.output.count("first /") == 1
    assert all(len(line) < 200 for line in summary.partition("FAILED")[0].splitlines())
    assert "1 test passed" in summary
    assert "TASK [one : " not in failed.output
    assert "TASK [two : Try what cannot be]" in failed.output


def test_the_plan_lists_the_tests_that_will_run(failed: Any) -> None:
    assert re.search(r"^one +build .*\n +(.*\n +)?tests: its own$", failed.output, re.MULTILINE)
    assert re.search(r"tests: its own and the contracts of one$", failed.output, re.MULTILINE)


def test_no_escape_sequence_reaches_the_terminal(failed: Any) -> None:
    assert "\x1b" not in failed.output
    assert r"\x1b]0;title\x07" in failed.output


def test_programs_can_read_the_result(failed: Any, chain: SmallChain) -> None:
    assert failed.code == 2
    result = json.loads((chain.folder / "result.json").read_text())
    jsonschema.validate(result, json.loads(SCHEMA.read_text()))
    tiers = {tier["tier"]: tier for tier in result["tiers"]}
    assert result["state"] == "failed"
    assert {name: tier["result"] for name, tier in tiers.items()} == {
        "base": tiers["base"]["result"],
        "one": "built",
        "two": "failed",
        "three": "failed",
    }
    assert [test["result"] for test in tiers["one"]["tests"]] == ["passed"]
    suites = ET.parse(chain.folder / "junit.xml").getroot()
    assert {suite.get("name"): suite.get("failures") for suite in suites}.items() >= {"one": "0", "two": "1"}.items()
    assert (chain.folder / "result.json").stat().st_mode & 0o777 == 0o600


def test_task_files_of_the_inventory_run_around_the_role(failed: Any, chain: SmallChain) -> None:
    assert failed.code == 2
    two = chain.folder / "roles/two/tasks/main.yml"
    two.write_text("- ansible.builtin.meta: noop\n")
    chain.tests("three", "def test_it():\n    pass\n")
    chain.build().expect()
    files = chain.run("one", "sh", "-c", "cat /usr/local/share/company.crt /usr/local/share/proxy; ls /after /helper")
    assert files == "our CAhttp://proxy.example:3128/after\n/helper\n"
    assert "proxy.example" not in json.dumps(chain.image("one").attrs)
    (chain.folder / "before.yml").write_text(BEFORE + "- ansible.builtin.meta: noop\n")
    assert "tier_before 1 before.yml changed" in chain.build("--check").output
    (chain.folder / "before.yml").write_text(BEFORE)
    (chain.folder / "files/ca.crt").write_text("another CA")
    assert "files/ca.crt changed" in chain.build("--check").expect().output


def test_only_the_callback_writes_to_standard_output(chain: SmallChain, environment: dict[str, str]) -> None:
    plugins = chain.folder / "callbacks"
    plugins.mkdir(exist_ok=True)
    (plugins / "document.py").write_text(CALLBACK)
    process = subprocess.run(
        ["ansible-playbook", "build-chain.yml", "-i", str(chain.write()), "--check"],
        env={**environment, "ANSIBLE_CALLBACK_PLUGINS": str(plugins), "ANSIBLE_STDOUT_CALLBACK": "document"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(process.stdout) == {"document": True}
    assert "one" in process.stderr
