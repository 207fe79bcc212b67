#!/usr/bin/python
# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Enables, disables and masks services in a build container, which has no service manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_service
short_description: Enable a service in an image
description:
  - Enables, disables, masks and unmasks a service in the file system of a build container, where no service manager runs.
    The links are those that C(systemctl) makes. systemd need not be installed.
  - Starts, restarts, reloads and stops nothing. The result has RV(ignore:changed=false), and a warning says so.
  - A service that does not exist is an error. An image without systemd has none of systemd's own services, such as
    V(systemd-journald). There, a task for one of these that sets only O(state) does nothing.
  - In a build, tasks of roles that use M(ansible.builtin.service), M(ansible.builtin.systemd_service),
    M(ansible.builtin.systemd) or M(ansible.builtin.sysvinit) run this module instead, with the same options. So a role for
    machines needs no condition for images.
  - A service that C(tier_services.start) lists really starts, for the time of the build.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  name:
    description: Name of the service, or of a different unit with its suffix, for example V(nginx) or V(logrotate.timer).
    type: str
    aliases: [service, unit]
  enabled:
    description: Whether the service is started at boot, by a service manager in a container of the image.
    type: bool
  masked:
    description: Whether nothing can start the service. The service need not exist.
    type: bool
  state:
    description: Only checked, as no service runs in a build.
    type: str
    choices: [reloaded, restarted, started, stopped]
  daemon_reload:
    description: Has no effect, because no manager has read the unit files.
    type: bool
    default: false
  daemon_reexec:
    description: Has no effect.
    type: bool
    default: false
  scope:
    description: Whether this is a unit of the system, or a unit of all users.
    type: str
    choices: [system, global]
    default: system
  starts:
    description: Whether the calling action starts the service itself, so that there is nothing to warn of.
    type: bool
    default: false
attributes:
  check_mode:
    description: The module can say what it would change.
    support: full
"""

EXAMPLES = r"""
- name: Enable nginx for images that run systemd
  tierwright.chain.image_service:
    name: nginx
    enabled: true
"""

RETURN = r"""
name:
  description: The name of the service, as it was given.
  returned: if O(name) is set
  type: str
enabled:
  description: Whether the service is enabled now.
  returned: if O(enabled) is set
  type: bool
state:
  description: The state of the service, which is always V(stopped).
  returned: if O(state) is set
  type: str
status:
  description: The properties of the unit that C(systemctl show) would print and that are known without a manager.
  returned: if O(name) is set
  type: dict
  sample: {ActiveState: inactive, Id: nginx.service, LoadState: loaded, SubState: dead, UnitFileState: enabled}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tierwright.chain.plugins.module_utils._init_scripts import InitScript
from ansible_collections.tierwright.chain.plugins.module_utils._unit_files import (
    UnitFiles,
    full_name,
    is_of_absent_systemd,
)
from ansible_collections.tierwright.chain.plugins.module_utils._unit_links import UnitError, UnitLinks

_STARTING = ("reloaded", "restarted", "started")


def _change(module: AnsibleModule) -> dict[str, Any]:
    name, scope, dry = module.params["name"], module.params["scope"], module.check_mode
    files = UnitFiles("/", scope)
    links, unit_name = UnitLinks(files, dry=dry), full_name(name)
    script = InitScript(name.rpartition(".service")[0] or name, module.run_command) if scope == "system" else None
    script = script if script is not None and script.exists else None
    changed = False
    if module.params["masked"] is not None:
        changed = links.mask(unit_name) if module.params["masked"] else links.unmask(unit_name)
    unit, enabled = files.find(unit_name), module.params["enabled"]
    needs_service = enabled is not None or (
        module.params["state"] is not None and not is_of_absent_systemd(unit_name, "/")
    )
    if needs_service and unit is None and script is None:
        module.fail_json(
            msg=f"Could not find the requested service {name}: the image has neither a unit file {unit_name} nor an init "
            "script; install its package first, or correct the name"
        )
    if enabled is not None:
        if unit is not None and enabled != links.is_enabled(unit) and not (unit.is_static and not enabled):
            changed |= links.enable(unit) if enabled else links.disable(unit)
        if script is not None and enabled != script.is_enabled:
            changed |= unit is None
            if not dry:
                script.enable() if enabled else script.disable()
    masked = files.is_masked(unit_name)
    is_enabled = links.is_enabled(unit) if unit is not None else script is not None and script.is_enabled
    result = {"changed": changed, "name": name}
    if enabled is not None:
        result["enabled"] = enabled if dry else is_enabled
    if module.params["state"] is not None:
        result["state"] = "stopped"
    found = unit is not None or script is not None
    result["status"] = {
        "ActiveState": "inactive",
        "Id": unit_name,
        "LoadState": "masked" if masked else "loaded" if found else "not-found",
        "SubState": "dead",
        "UnitFileState": _unit_file_state(unit, masked=masked, is_enabled=is_enabled),
        "FragmentPath": unit.path if unit is not None else "",
    }
    return result


def _unit_file_state(unit: object, *, masked: bool, is_enabled: bool) -> str:
    if masked:
        return "masked"
    if getattr(unit, "is_static", False):
        return "static"
    return "enabled" if is_enabled else "disabled"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "aliases": ["service", "unit"]},
            "enabled": {"type": "bool"},
            "masked": {"type": "bool"},
            "state": {"type": "str", "choices": ["reloaded", "restarted", "started", "stopped"]},
            "daemon_reload": {"type": "bool", "default": False},
            "daemon_reexec": {"type": "bool", "default": False},
            "scope": {"type": "str", "choices": ["system", "global"], "default": "system"},
            "starts": {"type": "bool", "default": False},
        },
        required_one_of=[["state", "enabled", "masked", "daemon_reload", "daemon_reexec"]],
        required_by={"state": ("name",), "enabled": ("name",), "masked": ("name",)},
        supports_check_mode=True,
    )
    if not module.params["name"]:
        module.exit_json(changed=False, msg="a build has no service manager, so there is nothing to reload")
    try:
        result = _change(module)
    except UnitError as error:
        module.fail_json(msg=f"service {module.params['name']}: {error}")
    except OSError as error:
        module.fail_json(msg=f"service {module.params['name']}: {error.filename}: {error.strerror}")
    if module.params["state"] in _STARTING and not module.params["starts"]:
        result["msg"] = (
            f"service {module.params['name']} is not started: a build runs no services. A container of the image runs "
            "what tier_config.cmd or entrypoint names. If later tasks need it during the build, list it in "
            "tier_services.start"
        )
        module.warn(result["msg"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
