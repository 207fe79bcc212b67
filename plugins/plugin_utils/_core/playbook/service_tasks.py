# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tasks of roles that manage services. In a build container, :mod:`...action.image_service` does their work.

A build has no service manager. Ansible's own modules would fail there, or start a daemon that nobody stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The action that does the work.
IMAGE_SERVICE = "tierwright.chain.image_service"

#: Connection of build containers.
_CONNECTION = "tierwright.chain.tier"

_MODULES = frozenset({"service", "systemd", "systemd_service", "sysvinit"})
_BUILTIN = ("", "ansible.builtin", "ansible.legacy")

#: Service managers that ``ansible.builtin.service`` may be told to use, and that the action stands for.
_MANAGERS = frozenset({"auto", "service", "systemd", "sysvinit"})

#: Options that only matter to a running manager or a running service.
_LEFT_OUT = frozenset({"arguments", "args", "daemonize", "force", "no_block", "pattern", "runlevel", "sleep", "use"})

#: Options that have an effect on a machine, and none in a build.
_IGNORED = frozenset({"runlevels"})


def is_service_task(task: Any) -> bool:
    """Check whether a task manages a service with a module of Ansible, on the host itself."""
    collection, _, module = str(task.action).rpartition(".")
    uses = str(task.args.get("use") or "auto").lower()
    return module in _MODULES and collection in _BUILTIN and not task.delegate_to and uses in _MANAGERS


#: Other names of arguments in Ansible's modules. A name with a hyphen cannot be that of an argument of our module.
_ALIASES = {
    "service": "name",
    "unit": "name",
    "daemon-reload": "daemon_reload",
    "daemon-reexec": "daemon_reexec",
}


def redirect(task: Any, connection: object) -> None:
    """Let :data:`IMAGE_SERVICE` do the work of a service task if its host is a build container.

    Args:
        task: The task, changed in place. Its resolved action stays, so its ``module_defaults`` apply.
        connection: The connection of its host (``ansible_connection``).
    """
    if connection == _CONNECTION:
        task.name = task.name or str(task.action)
        task.action = IMAGE_SERVICE


def image_arguments(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Translate the arguments of a service task into those of :data:`IMAGE_SERVICE`.

    Returns:
        The arguments, and the names of those that have no effect in a build although they have one on a machine.
    """
    kept = {key: value for key, value in arguments.items() if key not in _LEFT_OUT | _IGNORED}
    for alias, name in _ALIASES.items():
        if alias in kept:
            kept[name] = kept.pop(alias)
    return kept, sorted(_IGNORED & arguments.keys())


def is_started(services: Any, arguments: Mapping[str, Any]) -> bool:
    """Check whether a tier really starts a service during its build.

    Args:
        services: The value of ``tier_services``.
        arguments: The arguments of :data:`IMAGE_SERVICE`.
    """
    wanted = {str(name).removesuffix(".service") for name in (services or {}).get("start") or ()}
    name = str(arguments.get("name")).removesuffix(".service")
    return name in wanted or init_script(name) in wanted


def init_script(name: str) -> str:
    """Return the name of the init script that starts a service: ``postgresql`` for ``postgresql@15-main.service``."""
    return name.removesuffix(".service").partition("@")[0]
