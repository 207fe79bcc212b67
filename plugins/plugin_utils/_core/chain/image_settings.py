# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checking the settings of an image (``tier_config``), and converting them to one standard form.

An engine accepts nearly any value, and then fails or ignores it when a container starts. So each value is checked here.
Values of a wrong type are rejected, not converted, because YAML may have changed them already (``DEBUG: true``).

In ``env``, a tier can refer to the parent's environment: ``PATH: /opt/app/bin:$PATH``.
"""

from __future__ import annotations

import difflib
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .tier_variables import CONFIG_SPEC

_REFERENCE = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")

#: The default of engines for images without ``PATH``.
_DEFAULTS = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def check_references(text: str) -> None:
    """Check that each ``$`` in a value is part of a reference.

    Raises:
        ValueError: A ``$`` is not. The error says what was expected.
    """
    if "$" in _REFERENCE.sub("", text):
        raise ValueError("$NAME or ${NAME} for a variable of the parent's environment, and $$ for a dollar sign")


def resolve_references(text: str, parent_environment: Mapping[str, str]) -> str:
    """Replace references by the values of the parent's environment.

    Args:
        text: A value that :func:`check_references` accepted.
        parent_environment: The parent's environment.

    Returns:
        The value with all references replaced.

    Raises:
        KeyError: The parent's environment does not have the variable.
    """
    values = {**_DEFAULTS, **parent_environment}
    return _REFERENCE.sub(lambda match: "$" if match[1] else values[match[2] or match[3]], text)


#: Checks a value, and returns it in the standard form. Raises :class:`ValueError` with a text that says what was
#: expected.
Check = Callable[[Any], Any]

_SHELL = ["/bin/sh", "-c"]
_USER = re.compile(r"(\d{1,10}|[A-Za-z_][\w.-]*\$?)(:(\d{1,10}|[A-Za-z_][\w.-]*\$?))?")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")
_LAST_PORT = 65535
_LAST_ID = 2**31 - 1
_DURATION = re.compile(r"(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?(?:(\d{1,6})ms)?")
_NAME = re.compile(r"[^\s=\0$]+")
_KERNEL = ("/dev", "/proc", "/sys")
#: A larger number is certainly a typing error.
_MAX_RETRIES = 1000
_LAST_SIGNAL = 64
_REAL_TIME = re.compile(r"(SIG)?RTM(IN\+|AX-)\d{1,2}")


def check_image_settings(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check the settings of an image.

    Args:
        config: A ``tier_config``.

    Returns:
        The settings in the standard form, and a line for each problem: ``.cmd is 'x'; expected …``.
    """
    return _check_keys(config, _CHECKS, "")


def _check_keys(
    settings: Mapping[Any, Any], checks: Mapping[str, Check], place: str
) -> tuple[dict[str, Any], list[str]]:
    checked, problems = {}, []
    for key, value in settings.items():
        if key not in checks:
            similar = difflib.get_close_matches(str(key), checks, 1)
            hint = f"did you mean {similar[0]}?" if similar else f"expected one of {', '.join(checks)}"
            problems.append(f"{place} has the unknown key {key!r}; {hint}")
        elif value is not None:
            try:
                checked[key] = checks[key](value)
            except _PartError as error:
                problems.extend(f"{place}.{key}{line}" for line in error.args)
            except ValueError as error:
                problems.append(f"{place}.{key} is {_describe(value)}; expected {error}")
    return checked, problems


class _PartError(Exception):
    """Parts of a value are wrong. Each argument is a line that begins with the position of a part."""


def _describe(value: Any) -> str:
    kinds = {bool: "a boolean", float: "a float", str: "a string", dict: "a dictionary", list: "a list"}
    kind = next((name for python_type, name in kinds.items() if isinstance(value, python_type)), "")
    text = repr(value if not isinstance(value, str) else str(value))
    return f"{text} ({kind})" if kind else text


def _check_string(value: Any) -> str:
    """Accept a string, or an integer as a string."""
    if isinstance(value, str) and "\0" not in value:
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("a string; put it in quotes")


def _check_list(value: Any, check: Check, expected: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(expected)  # noqa: TRY004 - for users, not for programmers
    checked, problems = [], []
    for index, item in enumerate(value):
        try:
            checked.append(check(item))
        except ValueError as error:
            problems.append(f"[{index}] is {_describe(item)}; expected {error}")
    if problems:
        raise _PartError(*problems)
    return checked


def _command(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [*_SHELL, _shell(value)]
    expected = "a list of words ([nginx, -g, daemon off;]), or {shell: …} for a shell command line"
    words = _check_list(value, _check_string, expected)
    if words and not words[0].strip():
        raise ValueError("a program as the first word")
    return words


def _shell(value: Mapping[str, Any]) -> str:
    line = value.get("shell")
    if set(value) != {"shell"} or not isinstance(line, str) or not line.strip() or "\0" in line:
        raise ValueError("a list of words, or {shell: …} with a shell command line")
    return str(line)


def _user(value: Any) -> str:
    text = _check_string(value)
    numbers = [int(part) for part in text.split(":") if part.isdigit()]
    if text and (not _USER.fullmatch(text) or any(number > _LAST_ID for number in numbers)):
        raise ValueError("a user name or ID, optionally with : and a group: 1001, www-data, 1001:0")
    return text


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or {".", ".."} & set(value.split("/")) or "\0" in value:
        raise ValueError("an absolute path without '.' and '..', such as /var/www/html")
    return re.sub("/+", "/", value).rstrip("/") or "/"


def _working_dir(value: Any) -> str:
    return "" if value == "" else _folder(value)


def _volume(value: Any) -> str:
    folder = _folder(value)
    if folder == "/" or ":" in folder or any(f"{folder}/".startswith(f"{kernel_folder}/") for kernel_folder in _KERNEL):
        raise ValueError("an absolute path below the root of the image, not in /dev, /proc or /sys: /var/lib/data")
    return folder


def _ports(value: Any) -> list[str]:
    ranges = _check_list(value, _port_range, "a list of ports, such as [8080, 53/udp, 8000-8010/tcp]")
    return list(dict.fromkeys(port for ports in ranges for port in ports))


def _port_range(value: Any) -> list[str]:
    text = _check_string(value)
    match = _PORT.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if match is None or not 0 < first <= last <= _LAST_PORT:
        hint = " (the port on the host is set when a container is started)" if ":" in text else ""
        raise ValueError(
            f"a port or a range from 1 to {_LAST_PORT}, optionally with /tcp, /udp or /sctp: 8080, 8000-8010/udp{hint}"
        )
    return [f"{port}/{match[3] or 'tcp'}" for port in range(first, last + 1)]


def _pairs(value: Any, name: Check, check: Check, expected: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(expected)  # noqa: TRY004 - for users, not for programmers
    checked, problems = {}, []
    for key, item in value.items():
        try:
            checked[name(key)] = "" if item is None else check(item)
        except ValueError as error:
            problems.append(f".{key} is {_describe(item)}; expected {error}")
    if problems:
        raise _PartError(*problems)
    return checked


def _name(key: Any) -> str:
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        raise ValueError(f"a name without spaces, '$' and '=', not {key!r}")
    return str(key)


def _environment(value: Any) -> dict[str, str]:
    environment = _pairs(value, _name, _environment_value, "a dictionary, such as {LANG: C.UTF-8}")
    path = environment.get("PATH")
    if path is not None and not all(part.startswith(("/", "$")) for part in path.split(":")):
        raise _PartError(f".PATH is {path!r}; expected absolute folders, separated by ':': /opt/x/bin:$PATH")
    return environment


def _environment_value(value: Any) -> str:
    text = _check_string(value)
    check_references(text)
    return text


def _labels(value: Any) -> dict[str, str]:
    return _pairs(
        value, _name, _check_string, "a dictionary, such as {org.opencontainers.image.url: https://example.org}"
    )


def _health_check(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a dictionary with test: {test: [CMD, check], interval: 30s}, or {} for no health check")  # noqa: TRY004 - for users, not for programmers
    if not value:
        return {}
    checked, problems = _check_keys(value, _HEALTH, "")
    if value.get("test") is None:
        problems.append(" has no test; expected {test: [CMD, check]}")
    if problems:
        raise _PartError(*problems)
    return checked


def _test(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return ["CMD-SHELL", _shell(value)]
    expected = "[CMD, program, …], or {shell: …} for a shell command line"
    words = _check_list(value, _check_string, expected)
    kind, *rest = words or [""]
    is_valid = {"CMD": bool(rest) and bool(rest[0].strip()), "CMD-SHELL": len(rest) == 1 and bool(rest[0].strip())}
    if not is_valid.get(kind, kind == "NONE" and not rest):
        raise ValueError(expected)
    return words


def _duration(value: Any) -> str:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("a duration such as 30s, 1m30s or 500ms")
    return str(value)


def _positive_duration(value: Any) -> str:
    text = _duration(value)
    if not any(int(number) for number in re.findall(r"\d+", text)):
        raise ValueError("a duration longer than zero, such as 30s")
    return text


def _retries(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
        raise ValueError(f"a number from 1 to {_MAX_RETRIES}")
    if not 1 <= int(value) <= _MAX_RETRIES:
        raise ValueError(f"a number from 1 to {_MAX_RETRIES}")
    return int(value)


def _signal(value: Any) -> str:
    text = _check_string(value)
    names = {known.name for known in signal.Signals}
    is_number = text.isdecimal() and 1 <= int(text) <= _LAST_SIGNAL
    if text and not is_number and not {text, f"SIG{text}"} & names and not _REAL_TIME.fullmatch(text):
        raise ValueError("a signal, such as SIGTERM, SIGQUIT or 15")
    return text


_HEALTH: Mapping[str, Check] = {
    "test": _test,
    "interval": _positive_duration,
    "timeout": _positive_duration,
    "start_period": _duration,
    "retries": _retries,
}
_CHECKS: Mapping[str, Check] = {
    "entrypoint": _command,
    "cmd": _command,
    "user": _user,
    "env": _environment,
    "working_dir": _working_dir,
    "ports": _ports,
    "volumes": lambda value: _check_list(value, _volume, "a list of absolute paths, such as [/var/lib/data]"),
    "labels": _labels,
    "healthcheck": _health_check,
    "stop_signal": _signal,
}


def keys_without_check() -> Iterator[str]:
    """Yield keys that only the specification or only this module has. A test ensures that there are none."""
    yield from set(CONFIG_SPEC) ^ set(_CHECKS)
    yield from set(CONFIG_SPEC["healthcheck"]["options"]) ^ set(_HEALTH)
