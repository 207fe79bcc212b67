"""Recording the files that tasks read. An audit hook cannot be removed, so each test records in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import (
    CHANGED,
    LISTING,
    ROLE,
    Projects,
    digest_elsewhere,
    elsewhere_names,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory import secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.file_access import (
    Watch,
    digest_accessed,
)

RECORD = f"""
import os, sys
from pathlib import Path
from {Watch.__module__} import Watch
from {Journal.__module__} import Journal
project = Path(sys.argv[1])
tier = None
watch = Watch(Journal(Path(sys.argv[2])), [str(project)], [str(project / "ignored")], lambda: tier)
watch.start()

def work(name, *paths):
    global tier
    if os.fork() == 0:
        tier = name
        for path in paths:
            try:
                open(path).close()
            except OSError:
                pass
        os._exit(0)
    os.wait()
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    for path in ("files/motd.txt", "roles/web/tasks/main.yml", "roles/web/README.md", "ignored/x", "lib/code.py"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")
    return folder


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Journal.begin("demo")


@pytest.fixture
def recorded(project, journal):
    """Run a program that records file accesses, and return the names of the files that it recorded for a tier."""

    def run(program, tier="web"):
        code = RECORD + textwrap.dedent(program)
        subprocess.run([sys.executable, "-c", code, str(project), str(journal.folder)], check=True, cwd=project)
        return list(elsewhere_names(digest_accessed(journal, tier, [str(project / "roles/web")], Projects([project]))))

    return run


def test_a_file_that_a_worker_reads_is_an_input_of_its_tier(recorded):
    assert recorded("work('web', 'files/motd.txt'); work('db', 'files/other')") == ["files/motd.txt"]
    assert recorded("", "db") == ["files/other"]


def test_a_file_that_the_main_process_reads_is_not_an_input(recorded):
    assert recorded("work(None, 'files/motd.txt'); open('files/motd.txt').close()") == []


def test_a_file_is_recorded_once_for_all_reads_and_spellings(recorded, journal):
    program = "work('web', *['files/motd.txt'] * 3, b'files/motd.txt', project / 'roles' / '..' / 'files/motd.txt')"
    assert recorded(program) == ["files/motd.txt"]
    assert len((journal.folder / "web.taken").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "roles/web/tasks/main.yml",
        "ignored/x",
        "/proc/self/status",
        "/etc/ssl/openssl.cnf",
        sys.executable,
        os.__file__,
        Watch.__init__.__code__.co_filename,
        "/tmp/ansible_collections/a/b/plugins/x.py",
    ],
)
def test_other_paths_are_not_inputs(recorded, path):
    assert recorded(f"work('web', {path!r})") == []


def test_a_file_outside_the_key_is_an_input_if_the_role_reads_it(recorded):
    assert recorded("work('web', 'roles/web/README.md')") == ["roles/web/README.md"]


def test_a_file_that_a_check_of_our_own_reads_is_not_an_input(recorded):
    """The search for vault values looks into each file that a variable of any tier comes from."""
    checked = f"""
    from {secrets.__name__} import _is_vault
    tier = "web"
    assert not _is_vault("files/motd.txt")
    work("web", "files/other")
    """
    assert recorded(checked) == ["files/other"]


def test_imported_code_is_an_input_only_if_it_is_read_as_data(recorded):
    program = """
        if os.fork() == 0:
            tier = "web"
            sys.path.insert(0, "lib")
            import code
            if len(sys.argv) > 3:
                open("lib/code.py").close()
            os._exit(0)
        os.wait()
    """
    assert recorded(program) == []
    assert recorded(program.replace("len(sys.argv) > 3", "True")) == ["lib/code.py"]


def test_a_written_file_is_not_an_input(recorded):
    program = """
        if os.fork() == 0:
            tier = "web"
            open("files/out", "w").close()
            os.close(os.open("files/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            os._exit(0)
        os.wait()
    """
    assert recorded(program) == []


def test_a_listed_folder_is_an_input_by_its_names(recorded):
    program = """
        if os.fork() == 0:
            tier = "web"
            os.listdir("files"); list(os.scandir("ignored")); list(os.scandir("roles/web/tasks"))
            os._exit(0)
        os.wait()
    """
    assert recorded(program) == [f"files{LISTING}"]


def test_nothing_is_recorded_after_stop(recorded):
    assert recorded("watch.stop(); work('web', 'files/motd.txt')") == []


def test_a_task_does_not_fail_if_a_read_cannot_be_recorded(recorded, journal):
    program = f"""
        import shutil
        shutil.rmtree({str(journal.folder)!r})
        if os.fork() == 0:
            tier = "web"
            assert open("files/motd.txt").read() == ""
            try:
                open("nul\\0byte")
            except ValueError:
                os._exit(0)
            os._exit(1)
        assert os.wait()[1] == 0
    """
    assert recorded(program) == []


def test_an_included_role_is_an_input_as_a_whole(project, journal):
    watch = Watch(journal, [str(project)], [], lambda: None)
    watch.note("web", str(project / "roles/web"), ROLE)
    watch.note("web", str(project / "roles/shared"), ROLE)
    watch.note("web", str(project / "roles/shared/tasks/main.yml"))
    digests = digest_accessed(journal, "web", [str(project / "roles/web")], Projects([project]))
    assert elsewhere_names(digests) == (f"roles/shared{ROLE}",)


def test_a_file_that_changes_while_it_is_used_never_matches_again(project, journal):
    watch, projects = Watch(journal, [str(project)], [], lambda: None), Projects([project])
    watch.note("web", str(project / "files/motd.txt"))
    before = digest_elsewhere(["files/motd.txt"], projects)
    assert digest_accessed(journal, "web", [], projects) == before
    (project / "files/motd.txt").write_text("other")
    assert digest_accessed(journal, "web", [], projects) == {"elsewhere/files/motd.txt": CHANGED}


def test_a_worker_whose_tier_is_not_known_yet_is_recorded_later(recorded):
    program = """
        if os.fork() == 0:
            open("files/early").close() if Path("files/early").exists() else os.scandir("files").close()
            tier = "web"
            open("files/motd.txt").close()
            os._exit(0)
        os.wait()
    """
    assert recorded(program) == ["files/motd.txt"]
