"""What a role did and its image cannot have, and what a container says and must not decide: refused, or told."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import BIN

pytestmark = pytest.mark.once

#: A module that answers with facts, as what runs in a build container may make any module do.
ANSWER = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"facts": {"type": "dict"}})
module.exit_json(changed=False, ansible_facts=module.params["facts"])
"""
BY = "by task 'Do it' ({0}/tasks/main.yml:1)"

#: By tier: what its role does first, and what the refusal says.
REFUSED = {
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

LEFT = """\
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


def test_what_cannot_be_in_an_image_or_must_not_decide_it_is_refused_or_told(small_chain, environment):
    small_chain.facts = ["!hardware"]
    for name, (task, _told) in REFUSED.items():
        text = f"- name: Do it\n  {task}\n"
        small_chain.tier(name, text, parent="base", protects=["/etc/motd"], config={"cmd": ["good"]})
    library = small_chain.folder / "roles/facts/library"
    library.mkdir()
    (library / "answer.py").write_text(ANSWER)
    small_chain.tier("left", LEFT, parent="base", drop=["/etc/hosts"])
    done = small_chain.build().expect(2)
    for name, (_task, told) in REFUSED.items():
        assert f"tier '{name}': {told.format(name)}" in done.message
        assert not small_chain.released(name)
    for told in (
        f"/tmp/archive {BY.format('left')}, to which /opt/archive refers (temporary files)",
        f"left: left out: /etc/hosts {BY.format('left')} (every container has its own)",
    ):
        assert told in done.message
    found = small_chain.run("left", "sh", "-c", SEARCH)
    assert "hunter2" not in found
    assert "ansible_async" not in found
    layers = subprocess.run(
        [str(BIN / "tierwright"), "layers", "--json", small_chain.image("left").id],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert any("/tmp/archive" in line for line in json.loads(layers.stdout)["layers"][-1]["left_out"])
