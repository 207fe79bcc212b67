"""The pytest plugin without an image, and its selection and results with one."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import fixtures

pytest_plugins = ["pytester"]

#: The folder of a role's tests.
PLACE = "roles/web/tests"
LIBRARY = fixtures.__name__.removesuffix(".contract.fixtures")


@pytest.fixture
def run(pytester):
    """A function that runs pytest on the text of tests of a role: `run(tests, *options)`."""

    def run(tests, *options, place=PLACE):
        folder = pytester.path / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_it.py").write_text(textwrap.dedent(tests))
        return pytester.runpytest(place, "-p", "no:cacheprovider", "--strict-markers", *options)

    return run


@pytest.mark.parametrize("fixture", ["host", "image", "start", "start_once"])
def test_a_fixture_without_an_image_names_the_missing_option(run, fixture):
    result = run(f"def test_it({fixture}): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*fixture '{fixture}' needs an image to test: add the option --image NAME:TAG"])
    assert "Traceback" not in result.stdout.str()


def test_hosts_of_testinfra_are_unchanged_if_its_option_is_set(run):
    run("def test_it(host): assert host.backend.NAME == 'local'", "--hosts=local://").assert_outcomes(passed=1)


def test_tests_outside_roles_are_unchanged(run):
    run("def test_it(host): assert host.backend.NAME == 'local'", place="tests").assert_outcomes(passed=1)


MARKED = """
    import pytest

    @pytest.mark.contract
    def test_for_all_descendants(): pass

    @pytest.mark.network
    def test_for_this_tier(): pass
"""


def test_all_tests_run_unless_contracts_are_selected(run):
    run(MARKED).assert_outcomes(passed=2)
    run(MARKED, "--contract").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize(
    ("options", "variables", "seconds"),
    [([], {}, "60.0"), (["--timeout=7"], {}, "7.0"), ([], {"PYTEST_TIMEOUT": "8"}, "8.0")],
)
def test_the_time_limit_can_be_changed(run, monkeypatch, options, variables, seconds):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = run("def test_it(): pass", "--image=web", *options)
    result.stdout.fnmatch_lines([f"timeout: {seconds}s"])


def test_a_project_can_set_the_time_limit(run, pytester):
    pytester.makeini("[pytest]\ntimeout = 9\n")
    run("def test_it(): pass", "--image=web").stdout.fnmatch_lines(["timeout: 9.0s"])


def test_tests_without_an_image_have_no_time_limit(run):
    assert "timeout:" not in run("def test_it(): pass").stdout.str()


def test_a_result_lists_failed_tests_with_reasons(run, pytester):
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


def test_a_result_lists_skipped_tests_apart_from_those_that_passed(run, pytester):
    run(
        """
        import pytest

        def test_good(): pass
        def test_skipped(): pytest.skip("not here")
        @pytest.mark.skipif(True, reason="never")
        def test_never(): pass
        @pytest.mark.xfail
        def test_known(): assert False
        """,
        "--image=web",
        "--tier-result=result.json",
    )
    result = json.loads((pytester.path / "result.json").read_text())
    assert [name.rpartition("::")[2] for name, _seconds in result["ran"]] == ["test_good"]
    names = [f"{pytester.path}/{PLACE}/test_it.py::test_{name}" for name in ("skipped", "never", "known")]
    assert result["skipped"] == names


def test_a_file_that_skips_all_its_tests_is_listed(run, pytester):
    text = "import pytest\npytest.skip('not here', allow_module_level=True)\ndef test_it(): pass"
    run(text, "--image=web", "--tier-result=result.json")
    result = json.loads((pytester.path / "result.json").read_text())
    assert (result["ran"], result["skipped"]) == ([], [f"{pytester.path}/{PLACE}/test_it.py"])


def test_a_file_with_a_syntax_error_is_a_failure(run, pytester):
    result = run("def test_it(", "--image=web", "--tier-result=result.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    [failure] = json.loads((pytester.path / "result.json").read_text())["failed"]
    assert failure["test"] == f"{pytester.path}/{PLACE}/test_it.py"
    assert "SyntaxError" in failure["message"]


@pytest.mark.parametrize(("tests", "expected"), [("def test_it(): pass", False), ("import hypothesis", True)])
def test_hypothesis_is_imported_only_if_a_test_uses_it(pytester, tests, expected):
    pytester.makepyfile(tests)
    pytester_main = "pytest.main(['--image=web', '--tier-result=result.json'])"
    script = f"import pytest, sys; {pytester_main}; print('hypothesis' in sys.modules)"
    assert pytester.run(sys.executable, "-c", script).stdout.lines[-1] == str(expected)


#: Containers that exist only in a list. The first one of a test ends only after the second one has begun to end.
CONTAINERS = """
    import threading
    from types import SimpleNamespace
    from LIBRARY.contract import fixtures
    from LIBRARY.errors import EngineError

    EVENTS, SECOND = [], threading.Event()

    class Source:
        def start(self, tier, **options):
            EVENTS.append(f"start {tier}")
            return SimpleNamespace(id=tier, tier=tier, alias=tier, config={})

        def remove(self, container):
            if container.id == "stuck":
                raise EngineError("the engine does not end it")
            if container.id == "second":
                SECOND.set()
            elif container.id == "first":
                assert SECOND.wait(10)
            EVENTS.append(f"end {container.id}")

        def close(self):
            EVENTS.append("close")
            print("events:", ", ".join(EVENTS))

    def pytest_configure(config):
        config.stash[fixtures.open_key] = lambda _config, _online: Source()
"""


def test_the_containers_of_a_test_end_together_before_the_next_test(run, pytester):
    folder = pytester.path / PLACE
    folder.mkdir(parents=True)
    (folder / "conftest.py").write_text(textwrap.dedent(CONTAINERS).replace("LIBRARY", LIBRARY))
    result = run(
        """
        def test_one(start): start("first"); start("second")
        def test_two(start): start("third")
        """,
        "--image=web",
        "--capture=no",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*events: start first, start second, end second, end first, start third, end third, close"]
    )


def test_a_container_that_does_not_end_is_an_error_of_its_test(run, pytester):
    folder = pytester.path / PLACE
    folder.mkdir(parents=True)
    (folder / "conftest.py").write_text(textwrap.dedent(CONTAINERS).replace("LIBRARY", LIBRARY))
    result = run("def test_one(start): start('third'); start('stuck')", "--image=web", "--capture=no")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*events: start third, start stuck, end third, close", "*the engine does not end it*"])
