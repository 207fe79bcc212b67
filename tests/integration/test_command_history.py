"""Verbs that tell why an image is as it is: `history`, `why`, and `blame` with the tasks that made a file."""

from __future__ import annotations

import pytest

from .command import tierwright_fixture  # noqa: F401 - tests use the fixture
from .conftest import ROOT

pytestmark = pytest.mark.once

TASKS = """
- name: Write the message
  ansible.builtin.copy:
    content: {content}
    dest: /etc/motd
    mode: "0644"
  notify: Write it down
- name: Make an old file
  ansible.builtin.command: sh -c 'touch -d 2001-01-01 /srv/old && rm -f /etc/debian_version'
  changed_when: true
"""
HANDLERS = """
- name: Write it down
  ansible.builtin.copy:
    content: noted
    dest: /srv/noted
    mode: "0600"
"""


@pytest.mark.usefixtures("demo")
def test_history_lists_the_releases_of_a_tier(tierwright):
    answer = tierwright("history", "wordpress", "--json").json
    assert answer["tier"] == "wordpress"
    assert sum(release["current"] for release in answer["releases"]) == 1
    assert answer["releases"][-1]["team"] == "development"
    assert tierwright("why", "wordpress", "--json").json["release"]["current"]
    assert tierwright("why", "wordpress-none").code == 3


def test_why_lists_what_changed(tierwright, small_chain):
    tasks = '- name: Write\n  ansible.builtin.copy: {{content: "{}", dest: /etc/it, mode: "0644"}}\n'
    small_chain.tier("one", tasks.format("1"), parent="base")
    small_chain.build().expect()
    small_chain.tier("one", tasks.format("2"), parent="base")
    small_chain.build().expect()
    repository = small_chain.tiers["one"]["tier_image"]
    answer = tierwright("why", repository, "--json").json
    assert answer["reasons"] == ["role one/tasks/main.yml changed"]
    assert answer["before"]["image"] != answer["release"]["image"]


def test_blame_names_tasks_and_why_plans_the_next_run(tierwright, small_chain, environment):
    small_chain.tier("core", TASKS.format(content="one"), parent="base")
    small_chain.tier("web", "- ansible.builtin.file: {path: /srv/web, state: directory, mode: '0755'}", parent="core")
    handlers = small_chain.folder / "roles/core/handlers/main.yml"
    handlers.parent.mkdir()
    handlers.write_text(HANDLERS)
    small_chain.build().expect()
    image = small_chain.image("web").id

    def task(path):
        story = tierwright("blame", image, path, "--json", XDG_STATE_HOME=environment["XDG_STATE_HOME"]).json["story"]
        return story[-1]["task"]

    assert task("/etc/motd") == {"role": "core", "name": "Write the message", "file": "core/tasks/main.yml:2"}
    assert task("/srv/old") == {"role": "core", "name": "Make an old file", "file": "core/tasks/main.yml:8"}
    assert task("/srv/noted") == {"role": "core", "name": "Write it down", "file": "core/handlers/main.yml:2"}
    assert task("/srv/web")["name"] == "ansible.builtin.file"
    assert task("/etc/debian_version") is None
    assert task("/usr/bin/env") is None
    assert tierwright("blame", image, "/etc/motd", "--json", XDG_STATE_HOME="/none").json["story"][-1]["task"] is None

    def why(tier, *more):
        run_options = ("-i", str(small_chain.folder / "chain.yml"), "-p", str(ROOT / "build-chain.yml"))
        return tierwright("why", tier, *run_options, *more, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))

    assert why("web", "--json").json["now"] == {
        "action": "keep",
        "image": image,
        "reasons": ["nothing changed"],
        "below": [],
    }
    (small_chain.folder / "roles/core/tasks/main.yml").write_text(TASKS.format(content="two"))
    answer = why("web", "--json").json
    assert (answer["team"], answer["now"]["action"], answer["now"]["image"]) == ("operations", "build", None)
    assert answer["now"]["below"] == [{"tier": "core", "reasons": ["role core/tasks/main.yml changed"]}]
    assert small_chain.image("web").id == image
    assert why("none").code == 3
    broken = why("web", "--", "-e", "tier_force=none")
    assert (broken.code, broken.output) == (7, "")
    assert "tier_force names 'none'" in broken.errors
    nowhere = why("web", "--", "-e", "tier_plan_file=/none/plan.json")
    assert nowhere.code == 7
    assert "tier_plan_file: the answer cannot be written to /none/plan.json" in nowhere.errors
