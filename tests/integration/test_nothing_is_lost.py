"""Changes that an image cannot hold, and facts of a container that must decide nothing: rejected or reported."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import BIN

pytestmark = pytest.mark.once

#: A module that returns any facts, as a hostile build container can make every module do.
ANSWER = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"facts": {"type": "dict"}})
module.exit_json(changed=False, ansible_facts=module.params["facts"])
"""
BY = "by task 'Do it' ({0}/tasks/main.yml:1)"

#: By tier: the first task of its role, and the message of the rejection.
REJECTED = {
    "facts": (
        "answer: {facts: {tier_config: {cmd: [evil]}, tier_protects: []}}",
        "the result of a module set tier_config, tier_protects as a fact",
    ),
    "task": ("ansible.builtin.set_fact: {tier_config: {cmd: [evil]}}", "tier_config changed since the run was planned"),
    "hosts": (
        "ansible.builtin.lineinfile: {path: /etc/hosts, line: 192.0.2.1 db}",
        "its role changed /etc/hosts " + BY + ", which no image can hold",
    ),
    "venv": (
        "ansible.builtin.copy: {content: '#!{{ ansible_facts.python.executable }}', dest: /opt/x, mode: '0755'}",
        "/opt/x refers to /dev/tierwright-python/bin/python3, made " + BY + ": this path exists only while the tier",
    ),
    "job": (
        "ansible.builtin.command: sleep 600\n  async: 900\n  poll: 0",
        "an asynchronous task has not finished",
    ),
}

LEFT_OUT = """\
- name: Do it
  ansible.builtin.shell: echo 192.0.2.1 db >> /etc/hosts; echo x > /tmp/archive; ln -s /tmp/archive /opt/archive
- name: Fetch with a secret
  ansible.builtin.command: echo hunter2
  async: 60
  poll: 0
  no_log: true
  register: job
  environment: "{{ {'ANSIBLE_ASYNC_DIR': item} if item else {} }}"
  loop: ['', /srv/jobs]
"""
SEARCH = "grep -rl hunter2 /root /srv /home /etc /opt /tmp /var; ls -A /srv /root; test -L /opt/archive"


def test_changes_that_an_image_cannot_hold_are_rejected_or_reported(small_chain, environment):
    small_chain.facts = ["!hardware"]
    for name, (task, _message) in REJECTED.items():
        text = f"- name: Do it\n  {task}\n"
        small_chain.tier(name, text, parent="base", protects=["/etc/motd"], config={"cmd": ["good"]})
    library = small_chain.folder / "roles/facts/library"
    library.mkdir()
    (library / "answer.py").write_text(ANSWER)
    small_chain.tier("left", LEFT_OUT, parent="base", drop=["/etc/hosts"])
    result = small_chain.build().expect(2)
    for name, (_task, message) in REJECTED.items():
        assert f"tier '{name}': {message.format(name)}" in result.message
        assert not small_chain.released(name)
    for message in (
        f"/tmp/archive {BY.format('left')}, to which /opt/archive refers (temporary files)",
        f"left: left out: /etc/hosts {BY.format('left')} (every container has its own)",
    ):
        assert message in result.message
    output = small_chain.run("left", "sh", "-c", SEARCH)
    assert "hunter2" not in output
    assert "ansible_async" not in output
    process = subprocess.run(
        [str(BIN / "tierwright"), "layers", "--json", small_chain.image("left").id],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert any("/tmp/archive" in line for line in json.loads(process.stdout)["layers"][-1]["left_out"])
