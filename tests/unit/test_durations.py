"""What ``make test`` prints at its end."""

from __future__ import annotations

import json

import pytest

import durations


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.setattr(durations, "STAGES", tmp_path / durations.STAGES.name)
    monkeypatch.setattr(durations, "REPORTS", tmp_path)
    durations.STAGES.write_text("unit\t10.0\t90.5\t0\nlint\t10.0\t40.0\t1\n")
    return tmp_path


@pytest.mark.usefixtures("reports")
def test_a_stage_that_failed_fails_the_table(capsys):
    assert durations.show() == 1
    assert "failed" in capsys.readouterr().out
    durations.STAGES.write_text("unit\t10.0\t90.5\t0\n")
    assert durations.show() == 0


def test_a_file_that_was_left_out_keeps_its_time(reports, monkeypatch):
    monkeypatch.setattr(durations, "KEPT", reports / "durations.json")
    durations.KEPT.write_text(json.dumps({"test_old.py": 30, "test_new.py": 10}))
    case = '<testcase classname="tests.integration.test_new" name="test_it" time="40"/>'
    (reports / "integration.xml").write_text(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
    durations.keep()
    assert list(json.loads(durations.KEPT.read_text()).items()) == [("test_new.py", 40), ("test_old.py", 30)]
