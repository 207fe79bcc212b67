# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks the variables of tiers and roles against argument specifications, with Ansible's own validator."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ..chain.image_settings import check_image_settings
from ..chain.tier import read_paths
from ..chain.tier_variables import ORIGINS, TIER_SPEC
from ..errors import ChainError, wrap_errors
from ..layer.paths import matcher
from .secrets import is_secret, leaves, reject_secrets
from .variable_checks import RUN_CHECKS, check_names, check_type
from .yaml_files import read_plain_yaml, read_yaml


class RoleArguments(msgspec.Struct, frozen=True):
    """The variables of a role, and their specification."""

    #: Options of its argument specification; ``None`` if it has no specification.
    options: Mapping[str, Mapping[str, Any]] | None
    #: Names of variables that must not be shown, as a whole or in part (``no_log`` in the specification).
    hidden: frozenset[str]
    #: Variables in ``defaults/main.yml``, untemplated.
    defaults: Mapping[str, Any]
    #: Variables in ``vars/main.yml``, untemplated. They override those of the host.
    constants: Mapping[str, Any] = msgspec.field(default_factory=dict)


def read_arguments(folder: Path) -> RoleArguments:
    """Read the variables of the role in ``folder``, and their specification.

    Raises:
        ChainError: A file is not valid YAML, or does not contain a dictionary.
    """
    spec, defaults, constants = (
        _role_spec(folder),
        _load(folder / "defaults", "main", _read_variables) or {},
        _load(folder / "vars", "main", _read_variables) or {},
    )
    if spec is None:
        return RoleArguments(None, frozenset(), defaults, constants)
    options = {key: _without_defaults(option) for key, option in spec.items()}
    hidden = frozenset(name for name, option in spec.items() if _is_hidden(option))
    return RoleArguments(options, hidden, defaults, constants)


def check_tier(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Check the variables that describe a tier.

    Returns:
        All variables of ``TIER_SPEC``, with the specified type. A variable that is not set has its default or ``None``.

    Raises:
        ChainError: A variable has the wrong type, or an unknown key or name; or the tier has no origin, or several.
    """
    try:
        check_names(name, variables)
    except ChainError as error:
        unknown = [str(error)]
    else:
        unknown = []
    values, problems = _read_tier_variables(name, variables)
    if unknown or problems:
        raise ChainError("\n".join([*unknown, *problems]))
    result = ArgumentSpecValidator(TIER_SPEC, mutually_exclusive=[ORIGINS]).validate(values)
    if result.error_messages:
        raise ChainError(_lines(f"tier {name!r}", result.error_messages))
    checked: dict[str, Any] = result.validated_parameters
    for check in (_check_own_config, _check_patterns, _check_origin, _check_run):
        try:
            check(name, checked, variables)
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))
    return checked


def _read_tier_variables(name: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Read the variables that describe a tier.

    Returns:
        The values of those that are set, and a line for each that cannot be read or has the wrong type.
    """
    values, problems = {}, []
    for key, option in TIER_SPEC.items():
        try:
            value = variables.get(key)
        except AnsibleError as error:
            problems.append(
                f"tier {name!r}: {key} cannot be read while the run is planned: {error}; expected a value without "
                "facts and without variables of the role (a role sets its image's settings in its defaults, as "
                "<role>_tier_config)"
            )
            continue
        if value is not None:
            values[key] = value
            problems.extend(f"tier {name!r}: {line}" for line in check_type(key, option, value))
    return values, problems


# check_tier calls the next four functions with the same arguments. Not each of them needs all three.


def _check_own_config(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001
    if checked["tier_config"] is not None:
        checked["tier_config"] = check_config(name, "tier_config", checked["tier_config"])


def _check_patterns(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001
    problems = []
    for variable in ("tier_drop", "tier_keep", "tier_protects"):
        try:
            check_protects(name, variable, checked[variable])
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))


def _check_origin(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001
    if all(checked[origin] is None for origin in ORIGINS):
        raise ChainError(f"tier {name!r}: it has neither tier_parent nor a source; set one of {', '.join(ORIGINS)}")


def _check_run(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Check the variables that control the run of one tier, and that no later step of the plan checks."""
    problems = [
        f"tier {name!r}: {key} is {variables[key]!r}; expected {expected}"
        for key, (is_right, expected) in RUN_CHECKS.items()
        if variables.get(key) is not None and not is_right(variables[key])
    ]
    if problems:
        raise ChainError("\n".join(problems))


def check_config(name: str, variable: str, config: Any) -> dict[str, Any]:
    """Check the image settings of a tier, and normalise them.

    Args:
        name: The tier.
        variable: The variable that contains the settings, for messages.
        config: The settings.

    Raises:
        ChainError: With a line for each wrong setting. Values from a vault are masked.
    """
    if not isinstance(config, Mapping):
        raise ChainError(f"tier {name!r}: {variable} is {config!r}; expected a dictionary")
    checked, problems = check_image_settings(config)
    if problems:
        hidden = [str(leaf) for leaf in leaves(config) if is_secret(leaf)]
        lines = (f"tier {name!r}: {variable}{problem}" for problem in problems)
        raise ChainError("\n".join(_mask(hidden, line) for line in lines))
    return checked


def check_protects(name: str, variable: str, value: Any) -> tuple[str, ...]:
    """Check the paths that a tier protects.

    Args:
        name: The tier.
        variable: The variable that contains the paths, for messages.
        value: The paths.

    Raises:
        ChainError: The value is not a list of strings, or a string is not a valid pattern of paths.
    """
    result = ArgumentSpecValidator({variable: TIER_SPEC["tier_protects"]}).validate({variable: value})
    if result.error_messages:
        raise ChainError(_lines(f"tier {name!r}: {variable}", result.error_messages))
    paths = read_paths(name, variable, result.validated_parameters[variable] or ())
    _check_patterns_compile(name, variable, paths)
    return paths


def _check_patterns_compile(name: str, variable: str, patterns: Iterable[str]) -> None:
    """Reject patterns that cannot be compiled. A range in the wrong order, ``[z-a]``, is the only such error."""
    for pattern in patterns:
        try:
            matcher([pattern])
        except re.error as error:
            raise ChainError(
                f"tier {name!r}: {variable} has {pattern!r}, which is not a valid pattern: {error}; expected a range "
                "such as [a-z]"
            ) from error


def check_role(name: str, role: str, arguments: RoleArguments, variables: Mapping[str, Any]) -> None:
    """Check a tier's variables against the role's ``meta/argument_specs.yml``, in the same way as Ansible.

    Variables that only the role's defaults set, and those that depend on facts, are not checked here. Ansible checks
    them when it applies the role.

    Raises:
        ChainError: A variable has the wrong type or value, or a required one is missing.
    """
    if arguments.options is None:
        return
    values, checked_later = {}, set(arguments.defaults)
    for key in arguments.options.keys() & variables.keys():
        try:
            values[key] = variables[key]
        except AnsibleError:
            checked_later.add(key)
    options = {
        key: {**option, "required": option.get("required", False) and key not in checked_later}
        for key, option in arguments.options.items()
        if key in values or option.get("required") or option.get("apply_defaults")
    }
    result = ArgumentSpecValidator(options).validate(values, validate_role_argument_spec=True)
    if result.error_messages:
        raise ChainError(_lines(f"tier {name!r}: variables of role {role}", result.error_messages))


def check_role_tier(name: str, prefix: str, arguments: RoleArguments, variables: Mapping[str, Any]) -> None:
    """Check the image settings and protected paths that a role sets in its defaults.

    Values that depend on facts are not known yet. They are checked when the layer is sealed.

    Args:
        name: The tier.
        prefix: The prefix of the role's variables.
        arguments: The role's variables.
        variables: The host's variables, untemplated.

    Raises:
        ChainError: With a line for each wrong value.
    """
    problems = []
    for tier_variable, check, nothing in (("tier_config", check_config, {}), ("tier_protects", check_protects, [])):
        variable = f"{prefix}_{tier_variable}"
        if variables.get(tier_variable) is not None:
            continue
        try:
            if variable in {**arguments.defaults, **arguments.constants, **variables}:
                given = role_default(arguments, variable, variables)
                value = check(name, variable, nothing if given is None else given)
                reject_secrets(name, variable, value if isinstance(value, dict) else {"": value}, variables)
        except AnsibleError:
            continue
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))


def role_default(arguments: RoleArguments, name: str, variables: Mapping[str, Any]) -> Any:
    """The value of a variable that a role sets, templated with the host's variables.

    Args:
        arguments: The role's variables.
        name: The variable.
        variables: The host's variables, untemplated. They override the role's defaults.

    Raises:
        AnsibleError: The value cannot be templated before the role is applied.
    """
    values = {**arguments.defaults, **variables, **arguments.constants}
    return Templar(DataLoader(), values).template(values[name])


def _mask(secrets: Iterable[str], line: str) -> str:
    """Replace secrets in a message by ``***``."""
    for secret in secrets:
        line = line.replace(secret, "***") if secret else line
    return line


def _is_hidden(option: Mapping[str, Any]) -> bool:
    suboptions = option.get("options")
    return bool(option.get("no_log")) or (isinstance(suboptions, Mapping) and any(map(_is_hidden, suboptions.values())))


def _without_defaults(option: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the defaults from an option: they are documentation here, and often templates that need facts."""
    result = {key: value for key, value in option.items() if key != "default"}
    if isinstance(result.get("options"), Mapping):
        result["options"] = {key: _without_defaults(suboption) for key, suboption in result["options"].items()}
    return result


def _role_spec(folder: Path) -> dict[str, Any] | None:
    own = _load(folder / "meta", "argument_specs", read_plain_yaml)
    specs = own or (_load(folder / "meta", "main", read_plain_yaml) or {}).get("argument_specs") or {}
    with wrap_errors(f"{folder / 'meta'}: argument_specs", ChainError):
        main = specs.get("argument_specs", specs).get("main")
        options: dict[str, Any] = (main or {}).get("options") or {}
        if wrong := [name for name, option in options.items() if not isinstance(option, Mapping)]:
            raise TypeError(f"{wrong[0]} is {options[wrong[0]]!r}; expected a dictionary")
        return None if main is None else options


def _read_variables(path: Path) -> Any:
    return read_yaml(path, templates=True)


def _load(folder: Path, stem: str, read: Callable[[Path], Any]) -> dict[str, Any] | None:
    for suffix in (".yml", ".yaml"):
        path = folder / (stem + suffix)
        if path.is_file():
            with wrap_errors(str(path), ChainError):
                content = read(path) or {}
                if not isinstance(content, dict):
                    raise ChainError(f"{path} does not contain a dictionary; expected names with values")
                return content
    return None


def _lines(subject: str, messages: list[str]) -> str:
    return "\n".join(f"{subject}: {message}" for message in messages)
