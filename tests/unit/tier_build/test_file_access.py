"""What is heard of the files that tasks read. A hook cannot be taken away, so tests listen in other processes."""

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
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.file_access import (
    Watch,
    digest_accessed,
)

LISTEN = f"""
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
def heard(project, journal):
    """Run a program that listens, and give the names of what it took for tier `web`."""

    def run(program, tier="web"):
        code = LISTEN + textwrap.dedent(program)
        subprocess.run([sys.executable, "-c", code, str(project), str(journal.folder)], check=True, cwd=project)
        return list(elsewhere_names(digest_accessed(journal, tier, [str(project / "roles/web")], Projects([project]))))

    return run


def test_what_a_worker_reads_is_its_tier_s(heard):
    assert heard("work('web', 'files/motd.txt'); work('db', 'files/other')") == ["files/motd.txt"]
    assert heard("", "db") == ["files/other"]


def test_what_the_main_process_reads_is_no_tier_s(heard):
    assert heard("work(None, 'files/motd.txt'); open('files/motd.txt').close()") == []


def test_a_file_is_recorded_once_however_often_and_however_it_is_named(heard, journal):
    program = "work('web', *['files/motd.txt'] * 3, b'files/motd.txt', project / 'roles' / '..' / 'files/motd.txt')"
    assert heard(program) == ["files/motd.txt"]
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
def test_what_is_no_input_is_not_counted(heard, path):
    assert heard(f"work('web', {path!r})") == []


def test_what_the_key_passes_over_counts_if_the_role_reads_it(heard):
    assert heard("work('web', 'roles/web/README.md')") == ["roles/web/README.md"]


def test_code_that_is_imported_is_not_counted_but_read_as_data_it_is(heard):
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
    assert heard(program) == []
    assert heard(program.replace("len(sys.argv) > 3", "True")) == ["lib/code.py"]


def test_what_is_written_is_not_counted(heard):
    program = """
        if os.fork() == 0:
            tier = "web"
            open("files/out", "w").close()
            os.close(os.open("files/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            os._exit(0)
        os.wait()
    """
    assert heard(program) == []


def test_folders_that_are_listed_count_by_their_names(heard):
    program = """
        if os.fork() == 0:
            tier = "web"
            os.listdir("files"); list(os.scandir("ignored")); list(os.scandir("roles/web/tasks"))
            os._exit(0)
        os.wait()
    """
    assert heard(program) == [f"files{LISTING}"]


def test_nothing_is_heard_after_the_end(heard):
    assert heard("watch.stop(); work('web', 'files/motd.txt')") == []


def test_a_task_is_none_the_worse_for_what_cannot_be_recorded(heard, journal):
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
    assert heard(program) == []


def test_a_role_that_was_included_counts_as_a_whole(project, journal):
    watch = Watch(journal, [str(project)], [], lambda: None)
    watch.note("web", str(project / "roles/web"), ROLE)
    watch.note("web", str(project / "roles/shared"), ROLE)
    watch.note("web", str(project / "roles/shared/tasks/main.yml"))
    taken = digest_accessed(journal, "web", [str(project / "roles/web")], Projects([project]))
    assert elsewhere_names(taken) == (f"roles/shared{ROLE}",)


def test_a_file_that_changed_while_it_was_used_is_equal_to_nothing_later(project, journal):
    watch, projects = Watch(journal, [str(project)], [], lambda: None), Projects([project])
    watch.note("web", str(project / "files/motd.txt"))
    before = digest_elsewhere(["files/motd.txt"], projects)
    assert digest_accessed(journal, "web", [], projects) == before
    (project / "files/motd.txt").write_text("other")
    assert digest_accessed(journal, "web", [], projects) == {"elsewhere/files/motd.txt": CHANGED}


def test_a_worker_that_does_not_know_its_tier_yet_is_asked_again(heard):
    program = """
        if os.fork() == 0:
            open("files/early").close() if Path("files/early").exists() else os.scandir("files").close()
            tier = "web"
            open("files/motd.txt").close()
            os._exit(0)
        os.wait()
    """
    assert heard(program) == ["files/motd.txt"]
