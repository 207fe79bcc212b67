"""The bench of builders compares equal things, and counts correctly."""

from __future__ import annotations

import subprocess
import threading
import xml.etree.ElementTree as ET

import pytest
import yaml

import pictures
from bench.chain import chart, content, report, twins
from bench.chain.commands import BuildError, in_order
from bench.chain.scenarios import SCENARIOS, measure
from bench.chain.tierwright import write_project

pytestmark = pytest.mark.once

RUNS = [
    {"contender": name, "scenario": scenario, "round": round_, "seconds": seconds, "load": 1.0}
    for name, scenario, round_, seconds in (
        ("classic", "cold", 1, 30.0),
        ("classic", "cold", 2, 50.0),
        ("classic", "cold", 3, 34.0),
        ("tierwright", "unchanged", 1, 1.5),
        ("tierwright", "cold", 1, 40.0),
    )
]
ORDER = ["tierwright", "classic", "buildah"]


@pytest.mark.parametrize("tier", [*twins.DEMO, "application-01"])
def test_a_context_has_all_files_that_its_dockerfile_copies(tmp_path, tier):
    twins.write_context(tier, tmp_path / tier)
    text = (tmp_path / tier / "Dockerfile").read_text()
    copied = [word for name, rest in twins.instructions(text) if name == "COPY" for word in rest.split()[:-1]]
    files = {path.name for path in (tmp_path / tier).iterdir()} - {"Dockerfile"}
    assert set(copied) == files


@pytest.mark.parametrize("tier", twins.DEMO)
def test_the_script_of_a_dockerfile_is_correct_shell(tier):
    text = (twins.TWINS / tier / "Dockerfile").read_text()
    script, settings, _signal = twins.bare_script(text, "/context")
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    assert sum(setting.startswith("USER ") for setting in settings) <= 1
    assert [setting for setting in settings if setting.startswith("CMD ")]


@pytest.mark.parametrize("tier", twins.EDITED)
def test_an_edit_changes_a_file_of_the_role_and_of_the_dockerfile(tmp_path, tier):
    twins.write_context(tier, tmp_path / tier)
    before = (tmp_path / tier / twins.EDITED[tier]).read_bytes()
    assert before == (twins.ROLES / twins.role(tier) / "files" / twins.EDITED[tier]).read_bytes()
    twins.edit(tmp_path / tier, tier, "round 1")
    assert (tmp_path / tier / twins.EDITED[tier]).read_bytes() == before + b"# round 1\n"


def test_packages_are_removed_in_the_instruction_that_downloads_them():
    text = "FROM x\nRUN apt-get update \\\n && apt-get install --yes one\nRUN true\n"
    instructions = list(twins.instructions(twins.with_clean_up(text)))
    assert [name for name, _ in instructions] == ["FROM", "RUN", "RUN"]
    assert instructions[1][1].endswith("rm -rf /var/lib/apt/lists/*")
    assert "--mount=type=cache,id=mine-lists" in twins.with_cache_mounts(text, "mine")


def test_the_script_copies_and_runs_in_order_and_keeps_the_last_user():
    text = "FROM x\nENV A=1 \\\n  B='2 3'\nUSER root\n"
    text += "COPY a b /to/\nCOPY c /to/d\nRUN echo \\\n  one\nUSER 7\nSTOPSIGNAL SIGUSR1\n"
    script, settings, signal = twins.bare_script(text, "/c")
    assert script.index("cp -R /c/a /c/b /to/") < script.index("/to/d") < script.index("echo")
    assert "export A=1 'B=2 3'" in script
    assert (settings, signal) == (["ENV A=1   B='2 3'", "USER 7"], "SIGUSR1")


def test_a_different_mode_and_a_missing_package_are_differences():
    one = content.Content({"etc/a": ("file", "644", "0:0", "1")}, {"bash 5"})
    other = content.Content({"etc/a": ("file", "600", "0:0", "1")}, {"bash 5", "dash 1"})
    assert content.differences(one, one) == []
    assert content.differences(one, other) == ["package dash 1", "/etc/a: file 644 0:0 1 and file 600 0:0 1"]


def test_siblings_are_built_in_parallel_and_after_their_parent():
    both, built = threading.Barrier(2, timeout=20), []

    def build(tier):
        if tier != "low":
            assert "low" in built
            both.wait()
        built.append(tier)

    in_order({"low": "base", "one": "low", "two": "low"}, build)
    assert built[0] == "low"


def test_a_child_of_a_failed_tier_is_not_built():
    def build(tier):
        assert tier == "low"
        raise BuildError("no")

    with pytest.raises(BuildError, match="no"):
        in_order({"low": "base", "one": "low"}, build)


class Told:
    """A contender that notes what it is told."""

    name = "told"
    keeps_packages, has_packages = True, False

    def __init__(self):
        self.calls = []

    def forget(self):
        self.calls.append("forget")

    def note_replaced(self):
        """Nothing is replaced."""

    def drop_packages(self):
        self.calls.append("drop")

    def edit(self, tier, line):
        assert line
        self.calls.append(f"edit {tier}")

    def build(self, *, cold):
        self.calls.append("cold" if cold else "build")


def test_scenarios_start_from_a_cold_build_and_follow_each_other():
    told = Told()
    runs = list(measure(told, ["unchanged", "core"], 3))
    cold = ["forget", "cold", "build", "edit corebuild", "build"]
    assert told.calls == ["forget", "cold", *cold]  # the first build downloads packages, but nobody measures that
    assert [(run.scenario, run.round) for run in runs] == [("unchanged", 3), ("core", 3)]
    told.calls.clear()
    assert [run.scenario for run in measure(told, ["unchanged", "core"], 4)] == ["unchanged", "core"]
    assert told.calls == cold
    told.calls.clear()
    assert [run.scenario for run in measure(told, ["fresh", "cold"], 5)] == ["fresh", "cold"]
    assert told.calls == ["forget", "drop", "cold", "forget", "cold"]


def test_tables_show_medians_and_spread_of_what_was_measured():
    assert report.markdown_table(RUNS, ORDER).splitlines() == [
        f"|  | {SCENARIOS['cold'].name} | {SCENARIOS['unchanged'].name} |",
        "| --- | ---: | ---: |",
        "| tierwright | 40.0 (load 1) | 1.5 (load 1) |",
        "| classic | 34.0 (30.0 to 50.0, load 1) | - |",
    ]


def test_bars_have_the_lengths_of_the_medians():
    picture = ET.fromstring(chart.draw(RUNS, ORDER))
    bars = [float(bar.get("width")) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(bars) == 3
    assert bars[0] / bars[1] == pytest.approx(40 / 34, rel=0.01)
    assert "prefers-color-scheme: dark" in chart.draw(RUNS, ORDER)


def test_the_chart_of_the_documentation_is_up_to_date():
    assert pictures.CHART.read_text() == pictures.chart_of_builds(), "run: python tests/pictures.py"


@pytest.mark.parametrize("chain", twins.CHAINS)
def test_a_project_has_the_tiers_and_roles_of_its_chain(tmp_path, chain):
    write_project(tmp_path / "project", twins.CHAINS[chain], tested=False)
    teams = yaml.safe_load((tmp_path / "project/chain.yml").read_text())["tiers"]["children"].values()
    hosts = {tier: (settings or {}).get("tier_parent") for team in teams for tier, settings in team["hosts"].items()}
    assert hosts == {"base": None, **twins.CHAINS[chain]}
    roles = {path.name for path in (tmp_path / "project/roles").iterdir()}
    assert roles == {twins.role(tier) for tier in twins.CHAINS[chain]}
    assert not list((tmp_path / "project/roles").glob("*/tests"))


def test_the_page_says_which_content_differs_and_what_could_not_run():
    measured = {
        "about": [
            {
                "date": "2026-11-30",
                "cores": 2,
                "kernel": "6.1",
                "storage": "overlay2 on ext4",
                "contenders": {"classic": "Docker 20.10"},
            }
        ],
        "left_out": {"buildah": "it is not installed"},
        "content": {"classic": {"corebuild": [], "mariadb": ["/etc/a: missing and file"]}},
        "runs": RUNS,
    }
    assert report.compared(measured).splitlines()[-1] == "| classic | equal | 1 paths differ |"
    conditions = report.conditions(measured).splitlines()
    assert {"- buildah could not run: it is not installed", "- images of the engine: overlay2 on ext4"} <= set(
        conditions
    )
    assert report.compared({"content": {}}) == "The content was not compared."
