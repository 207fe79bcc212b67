# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of tier_config, and references to the parent's environment.

References to the parent's environment in a tier's: ``PATH: /opt/app/bin:$PATH``.

The settings of the image that a tier becomes (``tier_config``): checked, and written in one way.

An engine takes nearly anything here and fails, or does nothing, when a container starts. So a value is either what its
key expects or an error; nothing is converted that YAML may have made out of something else (``DEBUG: true``).
"""

from __future__ import annotations

import difflib
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .tier_variables import CONFIG_SPEC

_REFERENCE = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")

#: What engines take for a container whose image has no ``PATH``.
_USUAL = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def check(text: str) -> None:
    """Make sure that each ``$`` of a value means something.

    Raises:
        ValueError: One does not; with what was expected.
    """
    if "$" in _REFERENCE.sub("", text):
        raise ValueError("$NAME or ${NAME} for a variable of the parent's environment, and $$ for a dollar sign")


def resolve(text: str, parent_environment: Mapping[str, str]) -> str:
    """Put in what the parent's environment has.

    Args:
        text: A value that :func:`check` found right.
        parent_environment: The parent's environment.

    Raises:
        KeyError: The parent's environment has no such variable.
    """
    known = {**_USUAL, **parent_environment}
    return _REFERENCE.sub(lambda found: "$" if found[1] else known[found[2] or found[3]], text)


#: Takes a value; gives what the image gets, or raises :class:`ValueError` with what was expected.
Check = Callable[[Any], Any]

_SHELL = ["/bin/sh", "-c"]
_USER = re.compile(r"(\d{1,10}|[A-Za-z_][\w.-]*\$?)(:(\d{1,10}|[A-Za-z_][\w.-]*\$?))?")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")
_LAST_PORT = 65535
_LAST_ID = 2**31 - 1
_DURATION = re.compile(r"(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?(?:(\d{1,6})ms)?")
_NAME = re.compile(r"[^\s=\0$]+")
_KERNEL = ("/dev", "/proc", "/sys")
#: More than this no container wants, and a mistyped number is.
_MOST_RETRIES = 1000
_LAST_SIGNAL = 64
_REAL_TIME = re.compile(r"(SIG)?RTM(IN\+|AX-)\d{1,2}")


def check_image_settings(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check the settings of an image.

    Args:
        config: A ``tier_config``.

    Returns:
        The settings as the image gets them, and a line for each that is wrong: ``.cmd is 'x'; expected …``.
    """
    return _dictionary(config, _CHECKS, "")


def _dictionary(given: Mapping[Any, Any], checks: Mapping[str, Check], place: str) -> tuple[dict[str, Any], list[str]]:
    checked, problems = {}, []
    for key, value in given.items():
        if key not in checks:
            near = difflib.get_close_matches(str(key), checks, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(checks)}"
            problems.append(f"{place} has the key {key!r}, which there is not; {hint}")
        elif value is not None:
            try:
                checked[key] = checks[key](value)
            except _WrongPartError as error:
                problems.extend(f"{place}.{key}{each}" for each in error.args)
            except ValueError as error:
                problems.append(f"{place}.{key} is {_shown(value)}; expected {error}")
    return checked, problems


class _WrongPartError(Exception):
    """Parts of a value are wrong; each argument is a line that begins with the place of one."""


def _shown(value: Any) -> str:
    kinds = {bool: "a boolean", float: "a number with a fraction", str: "a text", dict: "a dictionary", list: "a list"}
    kind = next((word for of, word in kinds.items() if isinstance(value, of)), "")
    text = repr(value if not isinstance(value, str) else str(value))
    return f"{text} ({kind})" if kind else text


def _text(value: Any) -> str:
    """A text, or a whole number that stands for one."""
    if isinstance(value, str) and "\0" not in value:
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("a text; put it in quotes")


def _each(value: Any, check: Check, expected: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(expected)  # noqa: TRY004 - for users, not for programmers
    found, problems = [], []
    for index, item in enumerate(value):
        try:
            found.append(check(item))
        except ValueError as error:
            problems.append(f"[{index}] is {_shown(item)}; expected {error}")
    if problems:
        raise _WrongPartError(*problems)
    return found


def _command(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [*_SHELL, _shell(value)]
    words = _each(value, _text, "a list of words ([nginx, -g, daemon off;]), or {shell: …} for a line of shell")
    if words and not words[0].strip():
        raise ValueError("a program as the first word")
    return words


def _shell(value: Mapping[str, Any]) -> str:
    line = value.get("shell")
    if set(value) != {"shell"} or not isinstance(line, str) or not line.strip() or "\0" in line:
        raise ValueError("a list of words, or {shell: …} with a line of shell")
    return str(line)


def _user(value: Any) -> str:
    text = _text(value)
    numbers = [int(part) for part in text.split(":") if part.isdigit()]
    if text and (not _USER.fullmatch(text) or any(number > _LAST_ID for number in numbers)):
        raise ValueError("a name or a number, and with :, a group: 1001, www-data, 1001:0")
    return text


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or {".", ".."} & set(value.split("/")) or "\0" in value:
        raise ValueError("an absolute path without '.' and '..', such as /var/www/html")
    return re.sub("/+", "/", value).rstrip("/") or "/"


def _working_dir(value: Any) -> str:
    return "" if value == "" else _folder(value)


def _volume(value: Any) -> str:
    folder = _folder(value)
    if folder == "/" or ":" in folder or any(f"{folder}/".startswith(f"{each}/") for each in _KERNEL):
        raise ValueError("an absolute path of the image below the root, and not in /dev, /proc or /sys: /var/lib/data")
    return folder


def _ports(value: Any) -> list[str]:
    found = _each(value, _port_range, "a list of ports, such as [8080, 53/udp, 8000-8010/tcp]")
    return list(dict.fromkeys(port for ports in found for port in ports))


def _port_range(value: Any) -> list[str]:
    text = _text(value)
    match = _PORT.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if match is None or not 0 < first <= last <= _LAST_PORT:
        hint = " (which port of a machine it gets is said when a container starts)" if ":" in text else ""
        raise ValueError(
            f"a port or a range from 1 to {_LAST_PORT}, and /tcp, /udp or /sctp: 8080, 8000-8010/udp{hint}"
        )
    return [f"{port}/{match[3] or 'tcp'}" for port in range(first, last + 1)]


def _pairs(value: Any, name: Check, check: Check, expected: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(expected)  # noqa: TRY004 - for users, not for programmers
    found, problems = {}, []
    for key, item in value.items():
        try:
            found[name(key)] = "" if item is None else check(item)
        except ValueError as error:
            problems.append(f".{key} is {_shown(item)}; expected {error}")
    if problems:
        raise _WrongPartError(*problems)
    return found


def _name(key: Any) -> str:
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        raise ValueError(f"a name without spaces, '$' and '=', and not {key!r}")
    return str(key)


def _environment(value: Any) -> dict[str, str]:
    found = _pairs(value, _name, _environment_value, "a dictionary, such as {LANG: C.UTF-8}")
    path = found.get("PATH")
    if path is not None and not all(part.startswith(("/", "$")) for part in path.split(":")):
        raise _WrongPartError(f".PATH is {path!r}; expected absolute folders with ':' between them: /opt/x/bin:$PATH")
    return found


def _environment_value(value: Any) -> str:
    text = _text(value)
    check(text)
    return text


def _labels(value: Any) -> dict[str, str]:
    return _pairs(value, _name, _text, "a dictionary, such as {org.opencontainers.image.url: https://example.org}")


def _health_check(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a dictionary with test: {test: [CMD, check], interval: 30s}, or {} for none")  # noqa: TRY004 - for users, not for programmers
    if not value:
        return {}
    checked, problems = _dictionary(value, _HEALTH, "")
    if value.get("test") is None:
        problems.append(" has no test; expected one: {test: [CMD, check]}")
    if problems:
        raise _WrongPartError(*problems)
    return checked


def _test(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return ["CMD-SHELL", _shell(value)]
    expected = "[CMD, program, …], or {shell: …} for a line of shell"
    words = _each(value, _text, expected)
    kind, *rest = words or [""]
    right = {"CMD": bool(rest) and bool(rest[0].strip()), "CMD-SHELL": len(rest) == 1 and bool(rest[0].strip())}
    if not right.get(kind, kind == "NONE" and not rest):
        raise ValueError(expected)
    return words


def _duration(value: Any) -> str:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("a duration such as 30s, 1m30s or 500ms")
    return str(value)


def _some_time(value: Any) -> str:
    text = _duration(value)
    if not any(int(number) for number in re.findall(r"\d+", text)):
        raise ValueError("a duration of more than nothing, such as 30s")
    return text


def _retries(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
        raise ValueError(f"a number from 1 to {_MOST_RETRIES}")
    if not 1 <= int(value) <= _MOST_RETRIES:
        raise ValueError(f"a number from 1 to {_MOST_RETRIES}")
    return int(value)


def _signal(value: Any) -> str:
    text = _text(value)
    names = {each.name for each in signal.Signals}
    known = text.isdecimal() and 1 <= int(text) <= _LAST_SIGNAL
    if (
        text
        and not known
        and not {text, f"SIG{text}"} & names
        and not re.fullmatch(r"(SIG)?RTM(IN\+|AX-)\d{1,2}", text)
    ):
        raise ValueError("a signal, such as SIGTERM, SIGQUIT or 15")
    return text


_HEALTH: Mapping[str, Check] = {
    "test": _test,
    "interval": _some_time,
    "timeout": _some_time,
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
    "volumes": lambda value: _each(value, _volume, "a list of absolute paths, such as [/var/lib/data]"),
    "labels": _labels,
    "healthcheck": _health_check,
    "stop_signal": _signal,
}


def unchecked() -> Iterator[str]:
    """Keys of the specification that nothing here checks: none, as a test says."""
    yield from set(CONFIG_SPEC) ^ set(_CHECKS)
    yield from set(CONFIG_SPEC["healthcheck"]["options"]) ^ set(_HEALTH)
