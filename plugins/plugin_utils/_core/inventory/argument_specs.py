# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks variables against argument specifications, with Ansible's own validator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ..chain.image_settings import check_image_settings
from ..chain.tier import read_paths
from ..chain.tier_variables import ORIGINS, TIER_SPEC
from ..errors import ChainError, concerning
from ..layer.paths import matcher
from .secrets import is_secret, leaves, refuse
from .variable_checks import RUN_CHECKS, check_names, wrong_kinds


@dataclass(frozen=True, slots=True)
class RoleArguments:
    """What a role says of its variables."""

    #: Its argument specification's options; ``None`` where it has none.
    options: Mapping[str, Mapping[str, Any]] | None
    #: Names of the variables that it says must not be shown, or a part of them (``no_log``).
    hidden: frozenset[str]
    #: The variables that its defaults set, untemplated.
    defaults: Mapping[str, Any]
    #: Those that its ``vars/main.yml`` sets, untemplated; they go before the host's.
    constants: Mapping[str, Any] = field(default_factory=dict)


def read_arguments(folder: Path) -> RoleArguments:
    """Read what the role in ``folder`` says of its variables.

    Raises:
        ChainError: A file of it is no YAML.
    """
    spec, defaults, constants = (
        _role_spec(folder),
        _load(folder / "defaults", "main", templates=True) or {},
        _load(folder / "vars", "main", templates=True) or {},
    )
    if spec is None:
        return RoleArguments(None, frozenset(), defaults, constants)
    options = {key: _without_defaults(option) for key, option in spec.items()}
    hidden = frozenset(name for name, option in spec.items() if _is_hidden(option))
    return RoleArguments(options, hidden, defaults, constants)


def check_tier(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Check the variables that describe a tier.

    Returns:
        All of ``TIER_SPEC``'s variables with their types and defaults; ``None`` where there is neither.

    Raises:
        ChainError: One has the wrong type or an unknown key, or the tier's origin is missing or there twice.
    """
    try:
        check_names(name, variables)
    except ChainError as error:
        unknown = [str(error)]
    else:
        unknown = []
    given, problems = _read(name, variables)
    if unknown or problems:
        raise ChainError("\n".join([*unknown, *problems]))
    result = ArgumentSpecValidator(TIER_SPEC, mutually_exclusive=[ORIGINS]).validate(given)
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


def _read(name: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Read the variables that describe a tier; say which cannot be read, and which are of another kind."""
    given, problems = {}, []
    for key, option in TIER_SPEC.items():
        try:
            value = variables.get(key)
        except AnsibleError as error:
            problems.append(
                f"tier {name!r}: {key} cannot be read while the run is planned: {error}; expected one without facts "
                "and without variables of the role (a role says its own settings in its defaults, <role>_tier_config)"
            )
            continue
        if value is not None:
            given[key] = value
            problems.extend(f"tier {name!r}: {line}" for line in wrong_kinds(key, option, value))
    return given, problems


def _check_own_config(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001 - a shape
    if checked["tier_config"] is not None:
        checked["tier_config"] = check_config(name, "tier_config", checked["tier_config"])


def _check_patterns(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001 - a shape
    problems = []
    for variable in ("tier_drop", "tier_keep", "tier_protects"):
        try:
            check_protects(name, variable, checked[variable])
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))


def _check_origin(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001 - a shape
    if all(checked[origin] is None for origin in ORIGINS):
        raise ChainError(f"tier {name!r}: it has neither tier_parent nor a source; set one of {', '.join(ORIGINS)}")


def _check_run(name: str, checked: dict[str, Any], variables: Mapping[str, Any]) -> None:  # noqa: ARG001 - a shape
    """Check the variables of the run that are a tier's own and that no later part of the plan reads."""
    problems = [
        f"tier {name!r}: {key} is {variables[key]!r}; expected {expected}"
        for key, (is_right, expected) in RUN_CHECKS.items()
        if variables.get(key) is not None and not is_right(variables[key])
    ]
    if problems:
        raise ChainError("\n".join(problems))


def check_config(name: str, variable: str, config: Any) -> dict[str, Any]:
    """Check the image settings of a tier, and write them in one way.

    Args:
        name: The tier.
        variable: Where the settings come from, for the message.
        config: The settings.

    Raises:
        ChainError: With a line for each that is wrong.
    """
    if not isinstance(config, Mapping):
        raise ChainError(f"tier {name!r}: {variable} is {config!r}; expected a dictionary")
    checked, problems = check_image_settings(config)
    if problems:
        hidden = [str(leaf) for leaf in leaves(config) if is_secret(leaf)]
        lines = (f"tier {name!r}: {variable}{problem}" for problem in problems)
        raise ChainError("\n".join(_without(hidden, line) for line in lines))
    return checked


def check_protects(name: str, variable: str, said: Any) -> tuple[str, ...]:
    """Check the paths that a tier protects.

    Args:
        name: The tier.
        variable: Where they come from, for the message.
        said: The paths.

    Raises:
        ChainError: It is no list of texts, or one of them is no pattern of paths.
    """
    result = ArgumentSpecValidator({variable: TIER_SPEC["tier_protects"]}).validate({variable: said})
    if result.error_messages:
        raise ChainError(_lines(f"tier {name!r}: {variable}", result.error_messages))
    paths = read_paths(name, variable, result.validated_parameters[variable] or ())
    _check_forms(name, variable, paths)
    return paths


def _check_forms(name: str, variable: str, patterns: Iterable[str]) -> None:
    """Refuse what cannot be made a pattern; ``[z-a]`` is the only kind of it."""
    for pattern in patterns:
        try:
            matcher([pattern])
        except re.error as error:
            raise ChainError(
                f"tier {name!r}: {variable} has {pattern!r}, which is no pattern of paths: {error}; expected [a-z]"
            ) from error


def check_role(name: str, role: str, arguments: RoleArguments, variables: Mapping[str, Any]) -> None:
    """Check a tier's variables against the role's ``meta/argument_specs.yml``, as Ansible will when it applies it.

    Variables that only the role's own defaults set are not looked at, nor those whose value depends on facts: Ansible
    checks them when it applies the role.

    Raises:
        ChainError: A variable has the wrong type or value, or a required one is missing.
    """
    if arguments.options is None:
        return
    given, later = {}, set(arguments.defaults)
    for key in arguments.options.keys() & variables.keys():
        try:
            given[key] = variables[key]
        except AnsibleError:
            later.add(key)
    options = {
        key: {**option, "required": option.get("required", False) and key not in later}
        for key, option in arguments.options.items()
        if key in given or option.get("required") or option.get("apply_defaults")
    }
    result = ArgumentSpecValidator(options).validate(given, validate_role_argument_spec=True)
    if result.error_messages:
        raise ChainError(_lines(f"tier {name!r}: variables of role {role}", result.error_messages))


def check_role_tier(name: str, prefix: str, arguments: RoleArguments, variables: Mapping[str, Any]) -> None:
    """Check what a role says of its tier in its defaults, as far as that is known before it is applied.

    What depends on facts is checked when the layer is sealed.

    Args:
        name: The tier.
        prefix: The prefix of the role's variables.
        arguments: What the role says of its variables.
        variables: The host's variables, untemplated.

    Raises:
        ChainError: With a line for each thing that is wrong.
    """
    problems = []
    for what, check in (("tier_config", check_config), ("tier_protects", check_protects)):
        variable = f"{prefix}_{what}"
        if variables.get(what) is not None:
            continue
        try:
            if variable in {**arguments.defaults, **arguments.constants, **variables}:
                said = check(name, variable, role_default(arguments, variable, variables) or {})
                refuse(name, variable, said if isinstance(said, dict) else {"": said}, variables)
        except AnsibleError:
            continue
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))


def role_default(arguments: RoleArguments, name: str, variables: Mapping[str, Any]) -> Any:
    """Value of a variable that a role sets, with the host's variables.

    Args:
        arguments: What the role says of its variables.
        name: One of them.
        variables: The host's variables, untemplated; they go before the role's defaults.

    Raises:
        AnsibleError: It cannot be templated outside of the role.
    """
    values = {**arguments.defaults, **variables, **arguments.constants}
    return Templar(DataLoader(), values).template(values[name])


def _without(hidden: Iterable[str], line: str) -> str:
    """Take secrets out of a message."""
    for secret in hidden:
        line = line.replace(secret, "***") if secret else line
    return line


def _is_hidden(option: Mapping[str, Any]) -> bool:
    below = option.get("options")
    return bool(option.get("no_log")) or (isinstance(below, Mapping) and any(map(_is_hidden, below.values())))


def _without_defaults(option: Mapping[str, Any]) -> dict[str, Any]:
    """Drop an option's defaults: documentation here, and often templates that need facts."""
    kept = {key: value for key, value in option.items() if key != "default"}
    if isinstance(kept.get("options"), Mapping):
        kept["options"] = {key: _without_defaults(each) for key, each in kept["options"].items()}
    return kept


def _role_spec(folder: Path) -> dict[str, Any] | None:
    own = _load(folder / "meta", "argument_specs")
    specs = own or (_load(folder / "meta", "main") or {}).get("argument_specs") or {}
    with concerning(f"{folder / 'meta'}: argument_specs", ChainError):
        main = specs.get("argument_specs", specs).get("main")
        options: dict[str, Any] = (main or {}).get("options") or {}
        if wrong := [name for name, option in options.items() if not isinstance(option, Mapping)]:
            raise TypeError(f"{wrong[0]} is {options[wrong[0]]!r}, expected a dictionary")
        return None if main is None else options


def _load(folder: Path, stem: str, *, templates: bool = False) -> dict[str, Any] | None:
    for suffix in (".yml", ".yaml"):
        path = folder / (stem + suffix)
        if path.is_file():
            with concerning(str(path), ChainError):
                found = DataLoader().load_from_file(str(path), trusted_as_template=templates) or {}
                if not isinstance(found, dict):
                    raise ChainError(f"{path} holds no dictionary; expected names with values")
                return found
    return None


def _lines(subject: str, messages: list[str]) -> str:
    return "\n".join(f"{subject}: {message}" for message in messages)
