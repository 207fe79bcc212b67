# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of a watcher: Ansible variables of the inventory that it watches.

Types and defaults are defined only here. A test compares ``docs/variables.md`` with them.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ChainError

#: The variables, as an Ansible argument specification.
WATCH_SPEC: dict[str, dict[str, Any]] = {
    "watch_follow": {"type": "bool", "default": False},
    "watch_candidates": {"type": "bool", "default": False},
    "watch_deploy": {"type": "bool", "default": False},
    "watch_interval": {"type": "float", "default": 300.0},
    "watch_debounce": {"type": "float", "default": 2.0},
    "watch_time_limit": {"type": "float", "default": 3600.0},
    "watch_listen": {"type": "str", "default": "127.0.0.1:8405"},
    "watch_notification_token_file": {"type": "path"},
    "watch_keep": {"type": "int", "default": 50},
}

#: The variables that switch something on, and where each is read.
FOLLOW, CANDIDATES, DEPLOY = "watch_follow", "watch_candidates", "watch_deploy"
_SWITCHES = (FOLLOW, CANDIDATES, DEPLOY)
_PREFIX = "watch_"
_HIGHEST_PORT = 65535


class WatchSettings(msgspec.Struct, frozen=True):
    """What a watcher does, and how."""

    #: Whether a new release of a followed tier is locked, built and tested.
    follow: bool
    #: Whether candidates of followed tiers are tried, and verdicts are published.
    candidates: bool
    #: Whether new images of the site are rolled out.
    deploy: bool
    #: Seconds between two comparisons if nothing happens.
    interval: float
    #: Seconds from the first sign of a change to the comparison. Other signs in this time cause no other comparison.
    debounce: float
    #: Seconds that a run may take.
    time_limit: float
    #: Address and port for health, metrics and notifications; empty if nothing is served.
    listen: str
    #: Absolute path of the file with the token that notifications must have; ``None`` if none are accepted.
    token_file: str | None
    #: How many ended runs are kept.
    keep: int

    @property
    def address(self) -> tuple[str, int] | None:
        """Address and port to serve; ``None`` if nothing is served."""
        if not self.listen:
            return None
        host, _colon, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach what is served."""
        return self.address is not None and not ipaddress.ip_address(self.address[0]).is_loopback


def make_settings(values: Mapping[str, Any], folder: Path) -> WatchSettings:
    """Make the settings from values of the right types, and check them.

    Args:
        values: The variables of :data:`WATCH_SPEC`; those that are missing have their defaults.
        folder: The folder of the inventory. Relative paths begin there.

    Raises:
        ChainError: A value is wrong, or nothing is switched on.
    """
    chosen = {name: values.get(name, option.get("default")) for name, option in WATCH_SPEC.items()}
    if not any(chosen[name] for name in _SWITCHES):
        raise ChainError(
            "there is nothing to watch: watch_follow, watch_candidates and watch_deploy are all false; set at least "
            "one of them to true in the inventory"
        )
    for name, least in (("watch_interval", 1.0), ("watch_debounce", 0.0), ("watch_time_limit", 1.0)):
        if not least <= chosen[name] < float("inf"):
            raise ChainError(f"{name} is {chosen[name]}; expected at least {least:g} seconds")
    if chosen["watch_keep"] < 1:
        raise ChainError(f"watch_keep is {chosen['watch_keep']}; expected at least 1 run")
    listen = str(chosen["watch_listen"] or "")
    _check_address(listen)
    token_file = chosen["watch_notification_token_file"]
    return WatchSettings(
        follow=chosen[FOLLOW],
        candidates=chosen[CANDIDATES],
        deploy=chosen[DEPLOY],
        interval=chosen["watch_interval"],
        debounce=chosen["watch_debounce"],
        time_limit=chosen["watch_time_limit"],
        listen=listen,
        token_file=str((folder / token_file).absolute()) if token_file else None,
        keep=chosen["watch_keep"],
    )


def _check_address(listen: str) -> None:
    if not listen:
        return
    host, _colon, port = listen.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        right = port.isascii() and port.isdecimal() and int(port) <= _HIGHEST_PORT
    except ValueError:
        right = False
    if not right:
        raise ChainError(
            f"watch_listen is {listen!r}; expected an IP address and a port: 127.0.0.1:8405, or an empty string to "
            "serve nothing"
        )


def merge_values(first: Mapping[str, Any], other: Mapping[str, Any], of_other: str) -> dict[str, Any]:
    """Join the variables of hosts.

    Args:
        first: What is set for some hosts.
        other: What is set for another one.
        of_other: What this other one is, for messages.

    Raises:
        ChainError: A variable has two values.
    """
    for name in sorted(first.keys() & other.keys()):
        if first[name] != other[name]:
            raise ChainError(
                f"{name} is {first[name]!r} for a tier, and {other[name]!r} for {of_other}; one watcher has one "
                "value, so set it once, for example in group_vars/all.yml"
            )
    return {**first, **other}


def check_names(names: Iterable[str]) -> None:
    """Check for mistyped variables, which would have no effect.

    Raises:
        ChainError: A variable has nearly the name of one of :data:`WATCH_SPEC`.
    """
    for name in sorted(names):
        if name.startswith(_PREFIX) and name not in WATCH_SPEC:
            similar = difflib.get_close_matches(name, WATCH_SPEC, 1, 0.8)
            if similar:
                raise ChainError(f"there is no variable {name}; do you mean {similar[0]}?")
