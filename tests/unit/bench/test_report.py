"""What the bench of the connection makes of its runs."""

from __future__ import annotations

import json

import pytest

from bench.connection.report import TARGETS, Measured, Run, as_data, ratio, summarise, table, targets


def run(contender, listed, round_, *, first, each, tasks=10):
    """A run whose first task takes `first` milliseconds and whose others take `each`."""
    ends = [100 + (first + each * later) / 1000 for later in range(tasks)]
    return Run(contender, listed, round_, tuple(zip([100.0, *ends], ends, strict=False)), wall=2.0)


@pytest.fixture
def measured():
    ours = [run("tier", "copy", round_, first=each, each=each) for round_, each in ((1, 50), (2, 40), (3, 90))]
    others = [run("mitogen", "copy", 1, first=550, each=50), run("controller-floor", "debug", 1, first=10, each=10)]
    return Measured([*ours, *others])


def test_a_task_s_time_leaves_out_what_came_before_the_first_one():
    one = run("tier", "copy", 1, first=550, each=50)
    assert one.per_task == pytest.approx(100)
    assert one.first == pytest.approx(550)


def test_a_summary_is_the_median_of_the_rounds(measured):
    summary = summarise(measured.runs)["tier", "copy"]
    assert (summary.runs, summary.wall) == (3, 2.0)
    assert (summary.least, summary.median, summary.most) == pytest.approx((40, 50, 90))


def test_a_ratio_is_ours_by_theirs_and_the_floor_serves_every_list(measured):
    summaries = summarise(measured.runs)
    assert ratio(summaries, "copy", "tier", "mitogen") == pytest.approx(0.5)
    assert ratio(summaries, "copy", "tier", "controller-floor") == pytest.approx(5)
    assert ratio(summaries, "copy", "tier", "mitogen", of="least") == pytest.approx(0.4)
    assert ratio(summaries, "copy", "tier", "local") is None
    assert ratio(summaries, "command", "tier", "mitogen") is None


def test_the_table_names_who_failed_and_who_was_left_out(measured):
    measured.failures["tier", "copy"] = [2, 4]
    measured.left_out["docker"] = "the docker command is not installed"
    lines = table(measured, "copy", ["tier", "mitogen", "docker", "controller-floor"]).splitlines()
    assert lines[0].split()[-4:] == ["s", "runs", "tier", "tier-tcp"]
    assert lines[1].split() == ["tier", "50", "40", "90", "50", "2.0", "3", "1.00", "-"]
    assert lines[2].split() == ["mitogen", "100", "100", "100", "550", "2.0", "1", "0.50", "-"]
    assert lines[4:] == [
        "tier: failed in round 2, 4, see above",
        "docker: left out, the docker command is not installed",
    ]


def test_the_columns_stand_under_their_heads(measured):
    head, *lines = table(measured, "copy", ["tier", "mitogen"]).splitlines()
    end = head.index("median") + len("median")
    assert [line[:end].split()[-1] for line in lines] == ["50", "100"]


def test_a_target_is_met_missed_or_not_measured(measured):
    said = {tuple(line.split()[:4]): line.split("  ")[-1].strip() for line in targets(measured).splitlines()}
    assert said["tier", "/", "mitogen", "copy"] == "met"
    assert said["tier", "/", "mitogen", "command"] == "not measured"
    measured.runs = [run("tier", "copy", 1, first=90, each=90), run("mitogen", "copy", 1, first=90, each=90)]
    assert "missed" in targets(measured)


def test_everything_measured_is_data(measured):
    data = json.loads(json.dumps(as_data(measured)))
    assert len(data["runs"]) == 5
    assert len(data["targets"]) == len(TARGETS)
    assert [each["contender"] for each in data["summaries"]] == ["tier", "mitogen", "controller-floor"]
