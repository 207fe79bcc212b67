"""What a role may do through the connection: the ways in which Ansible uses one."""

from __future__ import annotations

import hashlib
import os

TASKS = r"""
- name: Run a command with an exit status and both streams
  ansible.builtin.shell: printf 'out'; printf 'err' >&2; exit 7
  register: status
  failed_when: status.rc != 7
- name: Compare the streams
  ansible.builtin.assert:
    that:
      - status.stderr == 'err'
      - status.stdout == 'out'
- name: Pass something through standard input
  ansible.builtin.command:
    cmd: wc -c
    stdin: "{{ 'x' * 300000 }}"
    stdin_add_newline: false
  register: counted
  failed_when: counted.stdout != '300000'
- name: Set the environment
  ansible.builtin.command: printenv GREETING
  environment: {GREETING: "héllo \"$HOME\""}
  register: greeting
  failed_when: greeting.stdout != 'héllo "$HOME"'
- name: Run a raw command
  ansible.builtin.raw: echo raw && exit 0
  register: raw
  failed_when: "'raw' not in raw.stdout"
- name: Run in the background
  ansible.builtin.command: sh -c 'sleep 1; echo done'
  async: 30
  poll: 1
  register: later
  failed_when: later.stdout != 'done'
- name: Make a user
  ansible.builtin.user: {name: worker, uid: 4242, create_home: true}
- name: Become that user
  ansible.builtin.command: id -un
  become: true
  become_user: worker
  become_method: ansible.builtin.su
  register: who
  failed_when: who.stdout != 'worker'
- name: Be that user from the start
  ansible.builtin.command: id -u
  vars: {ansible_user: worker}
  register: uid
  failed_when: uid.stdout != '4242'
- name: Run a script
  ansible.builtin.script: where.sh "an argument"
  register: script
  failed_when: "'script: an argument' not in script.stdout"
- name: Copy bytes in
  ansible.builtin.copy: {src: bytes.bin, dest: /etc/bytes.bin, mode: "0600", owner: worker}
- name: Copy bytes out
  ansible.builtin.fetch: {src: /etc/bytes.bin, dest: "{{ fetch_to }}", flat: true}
- name: Render a template
  ansible.builtin.template: {src: hello.j2, dest: /etc/hello, mode: "0644"}
- name: Read a file
  ansible.builtin.slurp: {src: /etc/hello}
  register: hello
  failed_when: hello.content | b64decode != 'hello from talk\n'
- name: Leave a mark on the controller
  ansible.builtin.copy: {content: here, dest: "{{ fetch_to }}.mark", mode: "0644"}
  delegate_to: localhost
- name: Start over
  ansible.builtin.meta: reset_connection
- name: Send modules as files too
  ansible.builtin.stat: {path: /etc/bytes.bin}
  vars: {ansible_pipelining: false}
  register: bytes
  failed_when: bytes.stat.size != 3000000 or bytes.stat.pw_name != 'worker' or bytes.stat.mode != '0600'
"""


def test_everything_a_role_may_do(small_chain, tmp_path):
    role = small_chain.folder / "roles/talk"
    small_chain.tier("talk", TASKS, parent="base")
    small_chain.tiers["talk"]["fetch_to"] = str(tmp_path / "fetched.bin")
    for folder in ("files", "templates"):
        (role / folder).mkdir()
    content = os.urandom(3_000_000)
    (role / "files/bytes.bin").write_bytes(content)
    (role / "files/where.sh").write_text('#!/bin/sh\necho "script: $1"\n')
    (role / "templates/hello.j2").write_text("hello from {{ inventory_hostname }}\n")
    small_chain.build().expect()
    assert (tmp_path / "fetched.bin").read_bytes() == content
    assert (tmp_path / "fetched.bin.mark").read_text() == "here"
    inside = small_chain.run("talk", "sha256sum", "/etc/bytes.bin").split()[0]
    assert inside == hashlib.sha256(content).hexdigest()


def test_a_container_that_ends_is_said_to_have_ended(small_chain):
    small_chain.tier(
        "gone",
        "- name: End the container\n  ansible.builtin.shell: kill -TERM 1; sleep 5\n"
        "- name: Go on\n  ansible.builtin.command: 'true'\n",
        parent="base",
    )
    failed = small_chain.build()
    assert failed.code in {2, 4}
    assert "UNREACHABLE" in failed.output
    assert "build container" in failed.message
    assert "is exited" in failed.message or "does not exist any more" in failed.message
