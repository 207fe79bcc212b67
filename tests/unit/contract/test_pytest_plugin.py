"""The pytest plugin without an image, and what it chooses and reports with one."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest

pytest_plugins = ["pytester"]

#: Where a role's tests lie.
PLACE = "roles/web/tests"


@pytest.fixture
def run(pytester):
    """Run pytest on tests, given as text, that lie in a role: `run(tests, *options)`."""

    def run(tests, *options, place=PLACE):
        folder = pytester.path / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_it.py").write_text(textwrap.dedent(tests))
        return pytester.runpytest(place, "-p", "no:cacheprovider", "--strict-markers", *options)

    return run


@pytest.mark.parametrize("fixture", ["host", "image", "start", "start_once"])
def test_without_an_image_a_fixture_says_which_option_is_missing(run, fixture):
    done = run(f"def test_it({fixture}): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([f"*fixture '{fixture}' needs an image to test: add the option --image NAME:TAG"])
    assert "Traceback" not in done.stdout.str()


def test_hosts_of_testinfra_are_left_alone_where_it_is_told_of_one(run):
    run("def test_it(host): assert host.backend.NAME == 'local'", "--hosts=local://").assert_outcomes(passed=1)


def test_tests_that_are_no_roles_are_left_alone(run):
    run("def test_it(host): assert host.backend.NAME == 'local'", place="tests").assert_outcomes(passed=1)


MARKED = """
    import pytest

    @pytest.mark.contract
    def test_asked_of_all(): pass

    @pytest.mark.network
    def test_own(): pass
"""


def test_all_tests_run_unless_only_contracts_are_wanted(run):
    run(MARKED).assert_outcomes(passed=2)
    run(MARKED, "--contract").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize(
    ("options", "variables", "seconds"),
    [([], {}, "60.0"), (["--timeout=7"], {}, "7.0"), ([], {"PYTEST_TIMEOUT": "8"}, "8.0")],
)
def test_a_test_has_a_time_limit_that_can_be_changed(run, monkeypatch, options, variables, seconds):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = run("def test_it(): pass", "--image=web", *options)
    done.stdout.fnmatch_lines([f"timeout: {seconds}s"])


def test_a_project_may_set_the_limit(run, pytester):
    pytester.makeini("[pytest]\ntimeout = 9\n")
    run("def test_it(): pass", "--image=web").stdout.fnmatch_lines(["timeout: 9.0s"])


def test_other_peoples_tests_get_no_limit(run):
    assert "timeout:" not in run("def test_it(): pass").stdout.str()


def test_a_result_says_what_failed_and_why(run, pytester):
    run(
        """
        import pytest

        @pytest.fixture
        def broken(): raise RuntimeError("no such thing")

        def test_good(): pass
        def test_bad(): assert 1 == 2, "one is not two"
        def test_never(broken): pass
        def test_skipped(): pytest.skip("not here")
        """,
        "--image=web",
        "--tier-result=result.json",
    )
    result = json.loads((pytester.path / "result.json").read_text())
    assert result["tests"] == 3
    assert result["seconds"] > 0
    bad, never = result["failed"]
    assert bad["test"] == f"{pytester.path}/{PLACE}/test_it.py::test_bad"
    assert bad["message"].startswith("AssertionError: one is not two")
    assert "(test_it.py:" in bad["message"]
    assert never["message"].startswith("RuntimeError: no such thing")


def test_a_file_that_is_no_python_is_a_failure(run, pytester):
    done = run("def test_it(", "--image=web", "--tier-result=result.json")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    [failed] = json.loads((pytester.path / "result.json").read_text())["failed"]
    assert failed["test"] == f"{pytester.path}/{PLACE}/test_it.py"
    assert "SyntaxError" in failed["message"]


@pytest.mark.parametrize(("tests", "expected"), [("def test_it(): pass", False), ("import hypothesis", True)])
def test_hypothesis_is_imported_only_if_a_test_uses_it(pytester, tests, expected):
    pytester.makepyfile(tests)
    pytester_main = "pytest.main(['--image=web', '--tier-result=result.json'])"
    script = f"import pytest, sys; {pytester_main}; print('hypothesis' in sys.modules)"
    assert pytester.run(sys.executable, "-c", script).stdout.lines[-1] == str(expected)
