"""From a failed build to the repaired role: keep, shell, logs, resume, test, discard, and Ansible's ad-hoc commands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .command import tierwright_fixture  # noqa: F401
from .conftest import BIN, ROOT, WRITE
from .engines import wait_for

FAILS = """
- name: Count
  ansible.builtin.raw: echo x >> /etc/count
  register: one_counted
  notify: Leave a mark
- name: Remember
  ansible.builtin.set_fact: {one_fact: remembered}
- name: Say a secret
  ansible.builtin.raw: echo s3cr3t-{{ 'word' }}; sleep 3600 >/dev/null 2>&1 & export TOKEN=s3cr3t; true
  no_log: true
- name: Break
  ansible.builtin.raw: test -e /etc/repaired
- name: Write the end
  ansible.builtin.raw: echo {{ one_fact }} {{ one_counted is changed }} > /etc/end
"""
HANDLER = "- name: Leave a mark\n  ansible.builtin.raw: echo handled >> /etc/handled\n"
TESTS = """
def test_end(host):
    assert host.file("/etc/end").content_string == "remembered True\\n"
    assert host.file("/etc/count").content_string == "x\\n"
    assert host.file("/etc/handled").content_string == "handled\\n"


def test_other(host):
    assert host.file("/etc/end").exists
"""
CONNECTION = {"ansible_connection": "tierwright.chain.tier", "ansible_python_interpreter": "auto_silent"}


@pytest.fixture(scope="module")
def failed(make_chain, tmp_path_factory):
    """A chain whose tier `one` failed, with its container kept. Its tier `none` was never built."""
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        chain.tier("one", FAILS, parent="base").tests("one", TESTS).tier("none", WRITE, parent="base")
        handlers = chain.folder / "roles/one/handlers/main.yml"
        handlers.parent.mkdir()
        handlers.write_text(HANDLER)
        for settings in chain.tiers.values():
            settings.update(CONNECTION)
        chain.build("--limit", "base").expect()
        chain.failure = chain.build("--limit", "base,one", "-e", "tier_keep_failed=true").expect(2)
        yield chain
        chain.command("discard", "--all")


@pytest.fixture(scope="module", autouse=True)
def command(failed, tierwright, environment):
    """Name the chain, because those of other tests here have tiers with the same names. `test` has an inventory."""

    def command(verb, *words):
        named = () if verb == "test" else ("--chain", failed.name)
        return tierwright(verb, *named, *words, XDG_STATE_HOME=environment["XDG_STATE_HOME"])

    failed.command = command


@pytest.fixture(autouse=True)
def nothing_is_left(engine, failed):
    """Replaces the check of all integration tests: one container and its stage image may stay from test to test."""
    yield
    wait_for(lambda: len(containers(engine, failed)) <= 1)


def containers(engine, chain):
    filters = {"label": f"{labels.CHAIN}={chain.name}"}
    return engine.containers.list(all=True, filters=filters, ignore_removed=True)


def example(verb, tier):
    """The example in the help of a verb, for a tier of this chain."""
    text = subprocess.run([BIN / "tierwright", verb, "--help"], capture_output=True, text=True, check=True).stdout
    line = " ".join(text.partition("Example: tierwright ")[2].partition("\n\n")[0].split())
    return shlex.split(line.replace("httpd-php", tier))


def test_a_failed_build_is_kept_and_its_processes_end(failed, engine):
    assert "its build container is kept, and stopped" in failed.failure.output
    assert "tierwright resume one" in failed.failure.output
    (container,) = containers(engine, failed)
    assert container.status == "exited"
    failed.build("--limit", "base").expect()  # a run clears up, but not this
    assert [each.id for each in containers(engine, failed)] == [container.id]
    assert not failed.released("one")


@pytest.mark.once
def test_a_shell_in_the_kept_container(failed, engine):
    found = failed.command("shell", "one", "--", "sh", "-c", "cat /etc/count; exit 7")
    assert (found.code, found.output) == (7, "x\n")
    assert "this is the container of the build that failed" in found.errors
    processes = failed.command("shell", "one", "--", "sh", "-c", "cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'")
    assert "s3cr3t" not in processes.output
    assert "sleep\n3600" not in processes.output
    (container,) = containers(engine, failed)
    assert container.status == "exited"


@pytest.mark.once
def test_logs_show_the_failure_and_respect_no_log(failed):
    found = failed.command("logs", "one", "--json").json["runs"][-1]
    assert (found["result"], found["reason"]) == ("failed", "task 'Break': non-zero return code")
    assert [(task["name"], task["status"]) for task in found["tasks"]] == [
        ("Count", "changed"),
        ("Remember", "ok"),
        ("Say a secret", "changed"),
        ("Break", "failed"),
    ]
    assert "s3cr3t" not in json.dumps(found)
    assert failed.command(*example("logs", "one")).output.startswith("one: run ")


@pytest.mark.once
def test_a_throw_away_container_of_the_image_and_of_the_parent(failed):
    found = failed.command(*example("shell", "base"))
    assert (found.code, "Debian" in found.output) == (0, True), found.errors
    assert "this is a throw-away container of its image" in found.errors
    found = failed.command("shell", "none", "--", "test", "-d", "/dev/tierwright-python")
    assert found.code == 0, found.errors
    assert "it was never built, so this is a fresh build container on the image of its parent 'base'" in found.errors
    assert failed.command("shell", "nobody").code == 3


def test_ad_hoc_commands_reach_the_image(failed, environment):
    def ansible(*words):
        command = [BIN / "ansible", "-i", failed.write(), *words]
        process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return process.returncode, process.stdout + process.stderr

    code, output = ansible("base", "-m", "ansible.builtin.command", "-a", "cat /etc/debian_version")
    assert code == 0, output
    assert re.search(r"CHANGED.*\n[0-9]+\.", output)
    code, output = ansible("base", "-m", "ansible.builtin.stat", "-a", "path=/etc/count")
    assert code == 0, output
    assert '"exists": false' in output or "exists: false" in output
    become = ("--become", "--become-user", "nobody", "--become-method", "su", "-e", "ansible_become_flags='-s /bin/sh'")
    code, output = ansible("base", "-m", "ansible.builtin.command", "-a", "id -un", *become)
    assert code == 0, output
    assert "nobody" in output
    code, output = ansible("none", "-m", "ansible.builtin.command", "-a", "id")
    assert code == 4, output
    assert "tier 'none' has no released image, so no task can run in it" in " ".join(output.split())


@pytest.fixture(scope="module")
def resumed(failed, engine):
    """The build that went on after the role was repaired. Its image was never released."""
    main = failed.folder / "roles/one/tasks/main.yml"
    main.write_text("# a new line\n" + FAILS.replace("test -e /etc/repaired", "touch /etc/repaired"))
    result = failed.command("resume", "one")
    assert result.code == 0, result.output
    (image,) = (
        image for image in engine.images.list(f"{failed.name}/one") if any(":resumed-" in tag for tag in image.tags)
    )
    return result.output, image


def test_resume_goes_on_from_the_failed_task(failed, resumed, engine):
    output, image = resumed
    assert "2 tests passed" in output  # each change was made once, and facts and results are right
    assert output.count("not repeated: run ") == 2
    assert containers(engine, failed) == []
    assert image.labels[labels.RESUMED]
    assert not {labels.KEY, labels.PARTS} & image.labels.keys()


@pytest.mark.once
def test_a_resumed_image_is_never_released(failed, resumed, engine):
    _output, image = resumed
    planned = failed.build("--check", "--limit", "base,one").expect().output
    assert re.search(r"^one +build ", planned, re.MULTILINE)
    repository = f"{failed.name}/one"
    for tag in ("latest", "previous", "key-0123456789abcdef", "release-20260101T000000Z"):
        assert image.tag(repository, tag)
    try:
        planned = failed.build("--check", "--limit", "base,one").expect().output
        assert re.search(r"^one +build ", planned, re.MULTILINE)
        engine.images.remove(f"{repository}:latest")
        rolled = failed.build(
            "--limit", "one", "-e", "tier_release=release-20260101T000000Z", playbook="playbooks/rollback.yml"
        )
        assert rolled.code != 0
        assert "such an image is never released" in rolled.message
        assert not failed.released("one")
    finally:
        for name in engine.images.get(image.id).tags:
            if ":resumed-" not in name:
                engine.images.remove(name)


@pytest.mark.once
@pytest.mark.usefixtures("resumed")
def test_the_next_build_releases_and_pytest_is_shown(failed):
    failed.build("--limit", "base,one").expect()
    assert failed.run("one", "cat", "/etc/end") == "remembered True\n"
    inventory = ("-i", str(failed.folder / "chain.yml"))
    found = failed.command("test", "one", "-k", "end", *inventory)
    assert found.code == 0, found.errors
    assert "1 passed, 1 deselected" in found.output
    words = example("test", "one")
    words[words.index("start")] = "other"
    assert failed.command(*words[:2], *inventory, *words[2:]).code == 0
    assert failed.command("test", "one", "-k", "nothing", *inventory).code == 5
    assert failed.command("test", "nobody", *inventory).code == 2


@pytest.mark.once
@pytest.mark.usefixtures("resumed")
def test_a_build_prune_and_discard_remove_the_kept_container(failed, engine):
    main = failed.folder / "roles/one/tasks/main.yml"
    main.write_text("- name: Break\n  ansible.builtin.raw: exit 3\n")
    failed.build("--limit", "base,one", "-e", "tier_keep_failed=true").expect(2)
    (first,) = containers(engine, failed)
    failed.build("--limit", "base,one", "-e", "tier_keep_failed=true").expect(2)  # the next build replaces it
    (second,) = containers(engine, failed)
    assert first.id != second.id
    found = failed.command(*example("resume", "one")[:2], "--from", "Nowhere")
    assert (found.code, "has no task 'Nowhere'; its tasks are: 'Break'" in found.errors) == (3, True)
    assert failed.command(*example("discard", "one")).code == 0
    assert containers(engine, failed) == []
    failed.build("--limit", "base,one", "-e", "tier_keep_failed=true").expect(2)
    pruned = failed.build(playbook="playbooks/prune.yml").expect().output
    assert "container of the failed build of tier one" in pruned
    assert containers(engine, failed) == []
