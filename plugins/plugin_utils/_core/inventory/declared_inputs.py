# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the outside inputs that tiers declare (``tier_inputs``), and digests them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..bases.debian_bootstrap import mirror, own_mirrors, suites
from ..build_key.file_digests import digest_path
from ..build_key.outside_inputs import (
    DigestedInput,
    FetchFailure,
    KnownInput,
    PendingInput,
    Question,
    ask,
    digest_index,
    digest_whole,
    readable,
    without_credentials,
)
from ..build_key.parts import Parts, digest_bytes, plain
from ..chain.names import is_digest
from ..chain.tier import Bootstrap, Tier
from ..chain.tier_variables import INPUTS, TIER_SPEC
from ..errors import ChainError

#: Seconds for which a cached answer is used; ``tier_inputs_max_age`` overrides this.
_DEFAULT_MAX_AGE = 3600

_FILE = "file:"


class Inputs(msgspec.Struct, frozen=True):
    """The outside inputs of one tier."""

    inputs: Sequence[KnownInput | PendingInput]
    #: ``tier_inputs_pin``: replaces the answers of all addresses.
    pin: str | None
    #: ``tier_inputs_max_age``, in seconds.
    max_age: float


class DigestedInputs(msgspec.Struct, frozen=True):
    """The outside inputs of one tier, digested."""

    #: The key parts: ``input/<name>``, and ``inputs-pin``.
    parts: Parts
    _declared: Inputs
    _answers: Mapping[str, str | FetchFailure]

    @property
    def inputs(self) -> list[DigestedInput]:
        """Each input, without those whose answers the tier pins.

        Only a tier that is built needs them. For addresses on a mirror of this machine's apt, apt is asked first.
        """
        return list(_digested(self._declared, self._answers))


def read_inputs(
    tier: Tier, base: Tier, variable: str, declared: Any, variables: Mapping[str, Any], *, inventory_folder: Path
) -> Inputs:
    """Read a tier's outside inputs.

    Args:
        tier: The tier.
        base: The base that the tier is built on. A ``debian`` input without suites means the archive of this base.
        variable: The variable that declares the inputs, for messages.
        declared: Its value.
        variables: The host's variables.
        inventory_folder: The inventory's folder. Relative paths begin there.

    Raises:
        ChainError: A declaration is wrong, or a file does not exist.
    """
    where = f"tier {tier.name!r}: {variable}"
    result = ArgumentSpecValidator({variable: TIER_SPEC["tier_inputs"]}).validate({variable: declared})
    if result.error_messages:
        raise ChainError("\n".join(f"{where}: {message}" for message in result.error_messages))
    pin = variables.get("tier_inputs_pin")
    items = result.validated_parameters[variable] or ()
    inputs = [entry for item in items for entry in _read_input(where, variable, item, base, inventory_folder)]
    return Inputs(inputs, None if pin is None else str(pin), _max_age(tier, variables.get("tier_inputs_max_age")))


def digest_inputs(declared: Mapping[str, Inputs], warn: Callable[[str], None]) -> dict[str, DigestedInputs]:
    """Digest the outside inputs of all tiers. Each address is queried once.

    Args:
        declared: The inputs of each tier.
        warn: Called with a line for each address that does not answer and whose cached answer is used.

    Returns:
        The key parts and the inputs of each tier.

    Raises:
        ChainError: With a line for each tier and address that does not answer and has no cached answer.
    """
    pending: dict[str, PendingInput] = {}
    ages: dict[str, float] = {}
    for inputs in declared.values():
        for entry in _pending(inputs) if inputs.pin is None else ():
            pending[entry.question] = entry
            ages[entry.question] = min(ages.get(entry.question, inputs.max_age), inputs.max_age)
    questions = {name: Question(entry.digest, ages[name]) for name, entry in pending.items()}
    answers = ask(questions, lambda question: _address(pending[question]), warn)
    problems = [
        f"tier {tier!r}: {entry.variable} names {readable(_address(entry))}, which does not answer ({failure.reason}), "
        "and there is no cached answer; try again, set tier_inputs_pin, or turn it off with tier_inputs: []"
        for tier, inputs in declared.items()
        if inputs.pin is None
        for entry in _pending(inputs)
        if isinstance(failure := answers[entry.question], FetchFailure)
    ]
    if problems:
        raise ChainError("\n".join(problems))
    return {tier: DigestedInputs(_parts(inputs, answers), inputs, answers) for tier, inputs in declared.items()}


def _digested(inputs: Inputs, answers: Mapping[str, str | FetchFailure]) -> Iterator[DigestedInput]:
    for entry in inputs.inputs:
        if isinstance(entry, KnownInput):
            is_file = entry.address.startswith(_FILE)
            uri = entry.address if is_file else without_credentials(entry.address)
            yield DigestedInput(uri, entry.digest)
        elif inputs.pin is None:
            yield DigestedInput(without_credentials(_address(entry)), str(answers[entry.question]))


def _parts(inputs: Inputs, answers: Mapping[str, str | FetchFailure]) -> dict[str, str]:
    digests: dict[str, list[str]] = {}
    for entry in inputs.inputs:
        if isinstance(entry, KnownInput):
            digests.setdefault(entry.name, []).append(entry.digest)
        elif inputs.pin is None:
            digests.setdefault(entry.name, []).append(str(answers[entry.question]))
    parts = {f"input/{name}": digest_bytes(" ".join(sorted(values)).encode()) for name, values in digests.items()}
    if inputs.pin is not None and any(_pending(inputs)):
        parts["inputs-pin"] = plain(inputs.pin)
    return parts


def _pending(inputs: Inputs) -> Iterator[PendingInput]:
    return (entry for entry in inputs.inputs if isinstance(entry, PendingInput))


def _address(pending: PendingInput) -> str:
    return f"{own_mirrors()[pending.mirror]}/{pending.address}" if pending.mirror else pending.address


def _read_input(
    where: str, variable: str, item: Mapping[str, Any], base: Tier, inventory_folder: Path
) -> Iterator[KnownInput | PendingInput]:
    kinds = [kind for kind in INPUTS if item[kind] is not None]
    if len(kinds) != 1:
        problem = f"it has {' and '.join(kinds)}" if kinds else "it has none of them"
        raise ChainError(
            f"{where}: each input is one of {', '.join(INPUTS)}; {problem}; write each input as an item of its own"
        )
    if item["checksum"] is not None and kinds != ["url"]:
        raise ChainError(f"{where}: checksum belongs to a url, and {kinds[0]} needs no checksum; remove it")
    match kinds[0]:
        case "url":
            yield _read_url(where, variable, item["url"], item["checksum"])
        case "file":
            yield _read_file(where, item["file"], inventory_folder)
        case _:
            yield from _read_debian(where, variable, item["debian"], base)


def _read_url(where: str, variable: str, url: str, checksum: str | None) -> KnownInput | PendingInput:
    if not url.lower().startswith(("http://", "https://")):
        raise ChainError(
            f"{where}: url is {url!r}; expected http:// or https:// (for a local file, use file: and its path)"
        )
    if checksum is None:
        return PendingInput(f"url {readable(url)}", variable, url, digest_whole)
    if not is_digest(checksum):
        raise ChainError(f"{where}: checksum is {checksum!r}; expected sha256: and 64 hexadecimal digits")
    return KnownInput(f"url {readable(url)}", checksum, url)


def _read_file(where: str, file: str, inventory_folder: Path) -> KnownInput:
    path = inventory_folder / file
    try:
        if path.exists():
            return KnownInput(f"file {file}", digest_path(path), f"{_FILE}{file}")
    except OSError as error:
        raise ChainError(f"{where}: file {path} cannot be read: {error.strerror}") from error
    raise ChainError(f"{where}: there is no file {path}; a relative path begins at the inventory's folder")


def _read_debian(where: str, variable: str, debian: Mapping[str, Any], base: Tier) -> Iterator[PendingInput]:
    source = base.source
    kinds: Mapping[str, str]
    if debian["suites"]:
        kinds = {suite: "security" if suite.endswith("-security") else "archive" for suite in debian["suites"]}
    elif isinstance(source, Bootstrap):
        kinds = suites(source)
    else:
        raise ChainError(
            f"{where}: debian has no suites, and the base {base.name!r} was not bootstrapped, so it has no suites "
            "either; set them (debian: {suites: [bookworm, bookworm-updates, bookworm-security]}), or turn it off with "
            "tier_inputs: []"
        )
    bootstrap = source if isinstance(source, Bootstrap) else None
    mirrors = {
        "archive": debian["mirror"] or (bootstrap and mirror(bootstrap, "archive")),
        "security": debian["security_mirror"] or (bootstrap and mirror(bootstrap, "security")),
    }
    for suite, kind in kinds.items():
        path = f"dists/{suite}/InRelease"
        address = mirrors[kind]
        yield PendingInput(
            f"debian {suite}",
            variable,
            f"{address.rstrip('/')}/{path}" if address else path,
            digest_index,
            None if address else kind,
        )


def _max_age(tier: Tier, value: Any) -> float:
    try:
        age = float(_DEFAULT_MAX_AGE if value is None else value)
    except (TypeError, ValueError):
        age = -1
    if not age >= 0:
        raise ChainError(
            f"tier {tier.name!r}: tier_inputs_max_age is {value!r}; expected seconds, or 0 to query in every run"
        )
    return age
