# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials for registries, as ``docker login`` keeps them, those in credential helpers included."""

from __future__ import annotations


def login(host: str) -> tuple[str, str] | None:
    """Look up who to be at a registry.

    Args:
        host: The registry's name, with a port where it has one.

    Returns:
        Name and password; ``None`` where there are none.
    """
    from docker import auth  # noqa: PLC0415 - only registries that ask for a login need the SDK, which imports slowly

    found = auth.load_config().resolve_authconfig(host) or {}
    return (found["username"], found["password"]) if found.get("username") and found.get("password") else None
