# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what tiers declare as outside inputs, and digests it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..bases.debian_bootstrap import own_mirrors, suites
from ..build_key.file_digests import digest_path
from ..build_key.outside_inputs import (
    FetchFailure,
    KnownInput,
    PendingInput,
    Question,
    ask,
    digest_index,
    digest_whole,
    readable,
)
from ..build_key.parts import Parts, digest_bytes, plain
from ..chain.names import is_digest
from ..chain.tier import Bootstrap, Tier
from ..chain.tier_variables import INPUTS, TIER_SPEC
from ..errors import ChainError

#: Seconds for which an answer is good, unless ``tier_inputs_max_age`` says otherwise.
_MAX_AGE = 3600


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one tier declares."""

    inputs: Sequence[KnownInput | PendingInput]
    #: ``tier_inputs_pin``: counts instead of everything that would be asked.
    pin: str | None
    #: ``tier_inputs_max_age``, in seconds.
    max_age: float


def read_inputs(
    tier: Tier, base: Tier, variable: str, declared: Any, variables: Mapping[str, Any], *, beside: Path
) -> Inputs:
    """Read a tier's outside inputs.

    Args:
        tier: The tier.
        base: What its chain begins with; an archive that is not named is the one that it was bootstrapped from.
        variable: The variable that declares them, for messages.
        declared: Its value.
        variables: The host's variables.
        beside: The inventory's folder, which relative paths begin at.

    Raises:
        ChainError: Something of it is wrong, or a file is not there.
    """
    where = f"tier {tier.name!r}: {variable}"
    result = ArgumentSpecValidator({variable: TIER_SPEC["tier_inputs"]}).validate({variable: declared})
    if result.error_messages:
        raise ChainError("\n".join(f"{where}: {message}" for message in result.error_messages))
    pin = variables.get("tier_inputs_pin")
    items = result.validated_parameters[variable] or ()
    inputs = [each for item in items for each in _read(where, variable, item, base, beside)]
    return Inputs(inputs, None if pin is None else str(pin), _max_age(tier, variables.get("tier_inputs_max_age")))


def digest_inputs(declared: Mapping[str, Inputs], warn: Callable[[str], None]) -> dict[str, Parts]:
    """Digest the outside inputs of all tiers; no address is asked twice.

    Args:
        declared: What each tier declares.
        warn: Takes the lines about addresses that do not answer, but did before.

    Returns:
        The parts of each tier's key: ``input/<name>``, and ``inputs-pin``.

    Raises:
        ChainError: With a line for each tier and address that does not answer and of which nothing is remembered.
    """
    asked: dict[str, PendingInput] = {}
    ages: dict[str, float] = {}
    for said in declared.values():
        for each in _asked(said) if said.pin is None else ():
            asked[each.question] = each
            ages[each.question] = min(ages.get(each.question, said.max_age), said.max_age)
    questions = {name: Question(each.digest, ages[name]) for name, each in asked.items()}
    answers = ask(questions, lambda question: _address(asked[question]), warn)
    problems = [
        f"tier {tier!r}: {each.variable} names {readable(_address(each))}, which does not answer ({failure.reason}), "
        "and no answer is remembered; try again, set tier_inputs_pin, or turn it off with tier_inputs: []"
        for tier, said in declared.items()
        if said.pin is None
        for each in _asked(said)
        if isinstance(failure := answers[each.question], FetchFailure)
    ]
    if problems:
        raise ChainError("\n".join(problems))
    return {tier: _parts(said, answers) for tier, said in declared.items()}


def _parts(said: Inputs, answers: Mapping[str, str | FetchFailure]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for each in said.inputs:
        if isinstance(each, KnownInput):
            found.setdefault(each.name, []).append(each.digest)
        elif said.pin is None:
            found.setdefault(each.name, []).append(str(answers[each.question]))
    parts = {f"input/{name}": digest_bytes(" ".join(sorted(digests)).encode()) for name, digests in found.items()}
    if said.pin is not None and any(_asked(said)):
        parts["inputs-pin"] = plain(said.pin)
    return parts


def _asked(said: Inputs) -> Iterator[PendingInput]:
    return (each for each in said.inputs if isinstance(each, PendingInput))


def _address(asked: PendingInput) -> str:
    return f"{own_mirrors()[asked.mirror]}/{asked.address}" if asked.mirror else asked.address


def _read(
    where: str, variable: str, item: Mapping[str, Any], base: Tier, beside: Path
) -> Iterator[KnownInput | PendingInput]:
    kinds = [kind for kind in INPUTS if item[kind] is not None]
    if len(kinds) != 1:
        found = f"it has {' and '.join(kinds)}" if kinds else "it has none of them"
        raise ChainError(
            f"{where}: each input is one of {', '.join(INPUTS)}; {found}; write each as an item of its own"
        )
    if item["checksum"] is not None and kinds != ["url"]:
        raise ChainError(f"{where}: checksum belongs to a url, and {kinds[0]} needs none; drop it")
    match kinds[0]:
        case "url":
            yield _read_url(where, variable, item["url"], item["checksum"])
        case "file":
            yield _read_file(where, item["file"], beside)
        case _:
            yield from _read_debian(where, variable, item["debian"], base)


def _read_url(where: str, variable: str, url: str, checksum: str | None) -> KnownInput | PendingInput:
    if not url.lower().startswith(("http://", "https://")):
        raise ChainError(
            f"{where}: url is {url!r}; expected http:// or https:// (a file is said with file: and its path)"
        )
    if checksum is None:
        return PendingInput(f"url {readable(url)}", variable, url, digest_whole)
    if not is_digest(checksum):
        raise ChainError(f"{where}: checksum is {checksum!r}; expected sha256: and 64 hexadecimal digits")
    return KnownInput(f"url {readable(url)}", checksum)


def _read_file(where: str, file: str, beside: Path) -> KnownInput:
    path = beside / file
    try:
        if path.exists():
            return KnownInput(f"file {file}", digest_path(path))
    except OSError as error:
        raise ChainError(f"{where}: file {path} cannot be read: {error.strerror}") from error
    raise ChainError(f"{where}: there is no file {path}; a relative path begins at the inventory's folder")


def _read_debian(where: str, variable: str, said: Mapping[str, Any], base: Tier) -> Iterator[PendingInput]:
    source = base.source
    named: Mapping[str, str]
    if said["suites"]:
        named = {suite: "security" if suite.endswith("-security") else "archive" for suite in said["suites"]}
    elif isinstance(source, Bootstrap):
        named = suites(source.suite)
    else:
        raise ChainError(
            f"{where}: debian has no suites, and {base.name!r}, which the chain begins with, was not bootstrapped; say "
            "which (debian: {suites: [bookworm, bookworm-updates, bookworm-security]}), or turn it off with "
            "tier_inputs: []"
        )
    from_base = source if isinstance(source, Bootstrap) else None
    mirrors = {
        "archive": said["mirror"] or (from_base and from_base.mirror),
        "security": said["security_mirror"] or (from_base and from_base.security_mirror),
    }
    for suite, kind in named.items():
        path = f"dists/{suite}/InRelease"
        mirror = mirrors[kind]
        yield PendingInput(
            f"debian {suite}",
            variable,
            f"{mirror.rstrip('/')}/{path}" if mirror else path,
            digest_index,
            None if mirror else kind,
        )


def _max_age(tier: Tier, said: Any) -> float:
    try:
        age = float(_MAX_AGE if said is None else said)
    except (TypeError, ValueError):
        age = -1
    if not age >= 0:
        raise ChainError(
            f"tier {tier.name!r}: tier_inputs_max_age is {said!r}; expected seconds, or 0 to ask in every run"
        )
    return age
