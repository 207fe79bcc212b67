# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks variables against argument specifications, with Ansible's own validator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ..chain.protection import read_paths
from ..chain.spec import CONFIG_SPEC, ORIGINS, TIER_SPEC
from ..errors import ChainError, concerning
from ..image.patterns import matcher
from .unknown import check_names


@dataclass(frozen=True, slots=True)
class RoleArguments:
    """What a role says of its variables."""

    #: Its argument specification's options; ``None`` where it has none.
    options: Mapping[str, Mapping[str, Any]] | None
    #: Names of the variables that it says must not be shown, or a part of them (``no_log``).
    hidden: frozenset[str]
    #: The variables that its defaults set, untemplated.
    defaults: Mapping[str, Any]


def read_arguments(folder: Path) -> RoleArguments:
    """Read what the role in ``folder`` says of its variables.

    Raises:
        ChainError: A file of it is no YAML.
    """
    spec, defaults = _role_spec(folder), _load(folder / "defaults", "main", templates=True) or {}
    if spec is None:
        return RoleArguments(None, frozenset(), defaults)
    options = {key: _without_defaults(option) for key, option in spec.items()}
    return RoleArguments(options, frozenset(name for name, option in spec.items() if _is_hidden(option)), defaults)


def check_tier(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Check the variables that describe a tier.

    Returns:
        All of ``TIER_SPEC``'s variables with their types and defaults; ``None`` where there is neither.

    Raises:
        ChainError: One has the wrong type or an unknown key, or the tier's origin is missing or there twice.
    """
    problems: list[str] = []
    for check in (check_names, _check_texts):
        try:
            check(name, variables)
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))
    validator = ArgumentSpecValidator(TIER_SPEC, mutually_exclusive=[ORIGINS])
    result = validator.validate({key: variables[key] for key in TIER_SPEC if variables.get(key) is not None})
    if result.error_messages:
        raise ChainError(_lines(f"tier {name!r}", result.error_messages))
    checked: dict[str, Any] = result.validated_parameters
    if checked["tier_config"] is not None:
        checked["tier_config"] = check_config(name, "tier_config", checked["tier_config"])
    check_protects(name, "tier_protects", checked["tier_protects"])
    for variable in ("tier_drop", "tier_keep"):
        _check_patterns(name, variable, checked[variable])
    if all(checked[origin] is None for origin in ORIGINS):
        raise ChainError(f"tier {name!r}: it has neither tier_parent nor a source; set one of {', '.join(ORIGINS)}")
    return checked


def _check_texts(name: str, variables: Mapping[str, Any]) -> None:
    """Refuse a list or a dictionary where a text belongs: Ansible's validator makes a text of it."""
    problems = [
        f"tier {name!r}: {key} is {value!r}; expected a text, one name"
        for key, option in TIER_SPEC.items()
        if option["type"] == "str" and isinstance(value := variables.get(key), list | tuple | Mapping)
    ]
    if problems:
        raise ChainError("\n".join(problems))


def check_config(name: str, variable: str, config: Any) -> dict[str, Any]:
    """Check the image settings of a tier.

    Args:
        name: The tier.
        variable: Where the settings come from, for the message.
        config: The settings.

    Raises:
        ChainError: They are no dictionary, or a key is unknown or has the wrong type.
    """
    if not isinstance(config, Mapping):
        raise ChainError(f"tier {name!r}: {variable} is {config!r}; expected a dictionary")
    # An empty health check is how a tier drops its parent's; the specification knows only whole ones.
    given = {key: value for key, value in config.items() if not (key == "healthcheck" and value == {})}
    result = ArgumentSpecValidator(CONFIG_SPEC).validate(given)
    if result.error_messages:
        raise ChainError(_lines(f"tier {name!r}: {variable}", result.error_messages))
    checked: dict[str, Any] = result.validated_parameters
    return {**checked, "healthcheck": {}} if config.get("healthcheck") == {} else checked


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
    _check_patterns(name, variable, paths)
    return paths


def _check_patterns(name: str, variable: str, patterns: Iterable[str]) -> None:
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


def role_default(defaults: Mapping[str, Any], name: str, variables: Mapping[str, Any]) -> Any:
    """Value of a variable that a role sets in its defaults, with the host's variables.

    Args:
        defaults: The role's defaults, untemplated.
        name: One of them.
        variables: The host's variables, untemplated; they go before the role's defaults.

    Raises:
        AnsibleError: It cannot be templated outside of the role.
    """
    values = {**defaults, **variables}
    return Templar(DataLoader(), values).template(values[name])


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
