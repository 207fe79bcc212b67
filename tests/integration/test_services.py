"""Tasks for services: links in the image, no running service unless the tier says so, and a clean end."""

from __future__ import annotations

import pytest
import yaml

#: An init script whose daemon writes a file when it gets SIGTERM, as a database does.
SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides: NAME
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: NAME
### END INIT INFO
pid=$(cat /run/NAME.pid 2>/dev/null)
case $1 in
start)
    setsid sh -c 'trap "echo clean >/srv/NAME; exit 0" TERM; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 &
    echo $! >/run/NAME.pid
    echo dirty >/srv/NAME ;;
stop) kill "$pid" && rm /run/NAME.pid ;;
status) [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null ;;
*) exit 1 ;;
esac
"""
UNIT = "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"

TASKS = """
- name: Install services
  ansible.builtin.copy: {content: "{{ item.content }}", dest: "{{ item.dest }}", mode: "0755"}
  loop:
    - {dest: /etc/init.d/web, content: "{{ script | replace('NAME', 'web') }}"}
    - {dest: /etc/init.d/db, content: "{{ script | replace('NAME', 'db') }}"}
    - {dest: /usr/lib/systemd/system/web.service, content: "{{ unit }}"}
    - {dest: /usr/lib/systemd/system/other.service, content: "{{ unit }}"}
  notify: Restart web
- name: Enable and start web
  ansible.builtin.service: {name: web, state: started, enabled: true}
- name: Mask the other service
  ansible.builtin.systemd: {name: other, masked: true, daemon_reload: true}
- name: Start a service that the next tasks need
  ansible.builtin.sysvinit: {name: db, state: started, enabled: false}
- name: Use it
  ansible.builtin.command: /etc/init.d/db status
- name: Check the fact
  ansible.builtin.assert:
    that: ansible_facts['service_mgr'] == 'systemd'
"""
HANDLERS = """
- name: Restart web
  ansible.builtin.systemd_service: {name: web, state: restarted}
- name: Restart a part of systemd, which the image does not have
  listen: Restart web
  ansible.builtin.service: {name: systemd-journald, state: restarted}
"""


@pytest.mark.once
def test_a_role_for_machines_enables_services_and_starts_those_of_the_tier(small_chain):
    services = {"start": ["db"], "manager": "systemd"}
    small_chain.facts = ["service_mgr"]
    small_chain.tier("web", TASKS, parent="base", services=services)
    for file, content in (("handlers", HANDLERS), ("defaults", yaml.safe_dump({"script": SCRIPT, "unit": UNIT}))):
        (small_chain.folder / "roles/web" / file).mkdir()
        (small_chain.folder / "roles/web" / file / "main.yml").write_text(content)
    built = small_chain.build().expect()
    assert built.message.count("service web is not started: a build runs no services.") == 1
    assert "web: ended before the layer was read, as the role left them running: sh" in built.output
    links = "ls -1 /etc/rc2.d; readlink /etc/systemd/system/*/web.service /etc/systemd/system/other.service; cat /srv/*"
    assert small_chain.run("web", "sh", "-c", links).split() == [
        "S01web",
        "/lib/systemd/system/web.service",
        "/dev/null",
        "clean",
    ]
    assert small_chain.run("web", "sh", "-c", "ls /run/*.pid 2>/dev/null || echo none") == "none\n"
