"""The report on the runs of the connection bench."""

from __future__ import annotations

import json

import pytest

from bench.connection.report import TARGETS, Measured, Run, as_data, ratio, summarise, table, targets


def run(contender, task_list, round_, *, first, others, tasks=10):
    """A run whose first task takes `first` milliseconds, and whose other tasks take `others`."""
    ends = [100 + (first + others * number) / 1000 for number in range(tasks)]
    return Run(contender, task_list, round_, tuple(zip([100.0, *ends], ends, strict=False)), wall=2.0)


@pytest.fixture
def measured():
    own = [
        run("tier", "copy", round_, first=duration, others=duration) for round_, duration in ((1, 50), (2, 40), (3, 90))
    ]
    other = [run("mitogen", "copy", 1, first=550, others=50), run("controller-floor", "debug", 1, first=10, others=10)]
    return Measured([*own, *other])


def test_the_time_per_task_excludes_the_time_before_the_first_task():
    single = run("tier", "copy", 1, first=550, others=50)
    assert single.per_task == pytest.approx(100)
    assert single.first == pytest.approx(550)


def test_a_summary_is_the_median_of_the_rounds(measured):
    summary = summarise(measured.runs)["tier", "copy"]
    assert (summary.runs, summary.wall) == (3, 2.0)
    assert (summary.least, summary.median, summary.most) == pytest.approx((40, 50, 90))


def test_a_ratio_is_ours_to_theirs_and_the_floor_applies_to_every_list(measured):
    summaries = summarise(measured.runs)
    assert ratio(summaries, "copy", "tier", "mitogen") == pytest.approx(0.5)
    assert ratio(summaries, "copy", "tier", "controller-floor") == pytest.approx(5)
    assert ratio(summaries, "copy", "tier", "mitogen", of="least") == pytest.approx(0.4)
    assert ratio(summaries, "copy", "tier", "local") is None
    assert ratio(summaries, "command", "tier", "mitogen") is None


def test_the_table_lists_failed_and_omitted_contenders(measured):
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


def test_columns_are_aligned_with_their_headers(measured):
    header, *lines = table(measured, "copy", ["tier", "mitogen"]).splitlines()
    end = header.index("median") + len("median")
    assert [line[:end].split()[-1] for line in lines] == ["50", "100"]


def test_a_target_is_met_missed_or_not_measured(measured):
    verdicts = {tuple(line.split()[:4]): line.split("  ")[-1].strip() for line in targets(measured).splitlines()}
    assert verdicts["tier", "/", "mitogen", "copy"] == "met"
    assert verdicts["tier", "/", "mitogen", "command"] == "not measured"
    measured.runs = [run("tier", "copy", 1, first=91, others=91), run("mitogen", "copy", 1, first=90, others=90)]
    assert "missed" in targets(measured)


def test_the_data_contains_all_measurements(measured):
    data = json.loads(json.dumps(as_data(measured)))
    assert len(data["runs"]) == 5
    assert len(data["targets"]) == len(TARGETS)
    assert [summary["contender"] for summary in data["summaries"]] == ["tier", "mitogen", "controller-floor"]
