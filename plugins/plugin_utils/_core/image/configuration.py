# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the configuration of an image, and selects the environment of a build container.

The configuration is a document of the OCI image specification (``config.md``), with Docker's ``Healthcheck`` in
addition. A tier inherits its parent's settings as with a Dockerfile, and can reset each of them: an empty list,
dictionary or string removes the parent's value. ONBUILD is never inherited, because it only has a meaning for
Dockerfiles.

The parent can be any image, and each process of a build container would see its environment: the first process, the
agent, and the shells and package managers that modules start. Variables that change how programs are loaded, or how
shells interpret scripts, could stop these programs from working or make them run different code. Therefore the build
container does not have them. The image does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..chain import image_settings
from ..errors import ChainError
from . import labels as names

#: Prefixes of variables of interpreters, the loader, the C library, shells, and tools that a build uses.
_PREFIXES = (
    "ANSIBLE_",
    "BASH",
    "DEBCONF_",
    "DPKG_",
    "GCONV_",
    "GLIBC_",
    "LD_",
    "MALLOC_",
    "OPENSSL_",
    "PERL",
    "PYTHON",
    "RUBY",
    "TIERWRIGHT_",
    "_PYTHON",
)

_NAMES = frozenset(
    (
        "APT_CONFIG",
        "CDPATH",
        "ENV",
        "GLOBIGNORE",
        "GREP_OPTIONS",
        "GZIP",
        "HOSTALIASES",
        "IFS",
        "LOCALDOMAIN",
        "LOCPATH",
        "NLSPATH",
        "NODE_OPTIONS",
        "POSIXLY_CORRECT",
        "PROMPT_COMMAND",
        "PS4",
        "RESOLV_HOST_CONF",
        "RES_OPTIONS",
        "SHELLOPTS",
        "SSLKEYLOGFILE",
        "TAR_OPTIONS",
        "TEMP",
        "TMP",
        "TMPDIR",
    )
)

#: Folders in which a distribution installs its programs.
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def for_build(parent_environment: Iterable[str]) -> list[str]:
    """Return the part of a parent's environment that a build container has, as ``NAME=value``.

    The distribution's own folders are appended to ``PATH`` if they are missing.
    """
    kept = [entry for entry in parent_environment if not _disturbs(entry.partition("=")[0])]
    return [_with_program_folders(entry) if entry.startswith("PATH=") else entry for entry in kept]


def left_out_variables(parent_environment: Iterable[str]) -> Sequence[str]:
    """Return the names of the parent's variables that a build container does not have, sorted."""
    return sorted(name for name in {entry.partition("=")[0] for entry in parent_environment} if _disturbs(name))


def _disturbs(name: str) -> bool:
    return name in _NAMES or name.startswith(_PREFIXES)


def _with_program_folders(entry: str) -> str:
    folders = [folder for folder in entry.removeprefix("PATH=").split(":") if folder]
    return "PATH=" + ":".join([*folders, *(folder for folder in _PATH if folder not in folders)])


Config = dict[str, Any]

#: Settings whose value is used unchanged: the name in ``tier_config``, and the name in the document.
_PLAIN = {
    "entrypoint": "Entrypoint",
    "cmd": "Cmd",
    "user": "User",
    "working_dir": "WorkingDir",
    "stop_signal": "StopSignal",
}
_SETS = {"ports": "ExposedPorts", "volumes": "Volumes"}

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_NANOSECONDS = (3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000)


def runtime_config(
    parent_config: Mapping[str, Any], declared: Mapping[str, Any], identity: Mapping[str, str]
) -> Config:
    """Make the ``config`` part of an image's document.

    Args:
        parent_config: The same part of the parent's document; the default settings if there is no parent.
        declared: A checked ``tier_config`` from :mod:`..chain.image_settings`; missing keys are inherited.
        identity: The identity labels of the tier. They have precedence over all other labels.

    Raises:
        ChainError: A value refers to a variable that the parent's environment does not have.
    """
    config: Config = {
        key: parent_config[key] for key in (*_PLAIN.values(), *_SETS.values(), "Healthcheck") if parent_config.get(key)
    }
    settings = {key: value for key, value in declared.items() if value is not None}
    if "entrypoint" in settings and "cmd" not in settings:
        config.pop("Cmd", None)  # the parent's arguments belong to the parent's entrypoint
    for key, name in _PLAIN.items():
        if key in settings:
            config[name] = settings[key]
    for key, name in _SETS.items():
        if key in settings:
            config[name] = {item: {} for item in settings[key]}
    if "healthcheck" in settings:
        config["Healthcheck"] = _healthcheck(settings["healthcheck"])
    config["Env"] = _environment(parent_config.get("Env") or [], settings.get("env", {}))
    parent_labels = parent_config.get("Labels") or {}
    inherited = {key: value for key, value in parent_labels.items() if key not in names.NOT_INHERITED}
    config["Labels"] = {**_without_identity({**inherited, **_texts(settings.get("labels", {}))}), **identity}
    return {name: value for name, value in sorted(config.items()) if value}


def work_config(parent_config: Mapping[str, Any], labels: Mapping[str, str]) -> Config:
    """Make the configuration of a stage image: the labels and the environment for the build, nothing else."""
    return {"Env": for_build(parent_config.get("Env") or []), "Labels": dict(labels)}


def document(
    *,
    architecture: str,
    os: str,
    config: Config,
    layers: Sequence[str],
    history: Sequence[Mapping[str, Any]],
    created: str,
    author: str = "",
) -> bytes:
    """Write the whole document; its SHA-256 is the image's ID.

    Args:
        architecture: The processor, for example ``amd64``.
        os: The operating system: ``linux``.
        config: The result of :func:`runtime_config` or :func:`work_config`.
        layers: Digests of all layers, the base's first.
        history: One entry for each layer, and entries marked ``empty_layer``.
        created: RFC 3339 time.
        author: The team that is responsible for the image.
    """
    fields = {
        "architecture": architecture,
        "author": author,
        "config": config,
        "created": created,
        "history": list(history),
        "os": os,
        "rootfs": {"type": "layers", "diff_ids": list(layers)},
    }
    return json.dumps({key: value for key, value in fields.items() if value}, sort_keys=True).encode()


def image_id(content: bytes) -> str:
    """Return the ID of the image whose document is ``content``."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _without_identity(labels: Mapping[str, str]) -> dict[str, str]:
    """Remove labels with our prefix: only the tier itself sets its identity labels."""
    return {key: value for key, value in labels.items() if not key.startswith(names.PREFIX)}


def _environment(parent_environment: Sequence[str], declared: Mapping[str, Any]) -> list[str]:
    inherited = dict(entry.partition("=")[::2] for entry in parent_environment)
    merged = inherited | {name: _resolved(name, value, inherited) for name, value in _texts(declared).items()}
    return [f"{name}={value}" for name, value in merged.items()]


def _resolved(name: str, value: str, inherited: Mapping[str, str]) -> str:
    try:
        return image_settings.resolve_references(value, inherited)
    except KeyError as error:
        raise ChainError(
            f"tier_config.env.{name} is {value!r}, but the parent's environment has no {error.args[0]}; expected "
            f"one of {', '.join(sorted(inherited)) or 'none'}, or $$ for a dollar sign"
        ) from None


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): "" if value is None else str(value) for key, value in values.items()}


def _healthcheck(settings: Mapping[str, Any]) -> Config:
    if not settings:
        return {"Test": ["NONE"]}
    check: Config = {"Test": list(settings["test"])}
    for key, name in {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}.items():
        if settings.get(key) is not None:
            check[name] = _duration(settings[key])
    if settings.get("retries") is not None:
        check["Retries"] = settings["retries"]
    return check


def _duration(text: str) -> int:
    match = _DURATION.fullmatch(text)
    numbers = match.groups() if match else ()
    return sum(int(number) * unit for number, unit in zip(numbers, _NANOSECONDS, strict=False) if number)
