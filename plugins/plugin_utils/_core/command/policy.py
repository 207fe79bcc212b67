# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright policy``: the policy of a chain."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ..errors import UsageError
from .output import Table, json_option, show
from .policy_options import open_policy, policy_argument, policy_key_option, root_keys
from .signer_options import open_chosen_signer, signer_options

if TYPE_CHECKING:
    from ..policy.policy import Policy
    from ..policy.rules import TierRule
    from ..signing.public_key import PublicKey

# `tierwright --help` imports all verbs, and cryptography is slow to import. So the functions import what they need.

#: By format, the module of the room `policy` that writes it, and its function.
_FORMATS = {
    "containers": ("containers_policy", "render_containers_policy"),
    "kyverno": ("kyverno", "render_cluster_policy"),
    "kyverno-image": ("kyverno", "render_image_validating_policy"),
    "policy-controller": ("policy_controller", "render_policy_controller"),
}


class ShownTeamKey(msgspec.Struct, frozen=True):
    """A key in a policy."""

    #: The team; ``null`` for a key of others.
    team: str | None
    #: The person, or the others.
    name: str
    #: SHA-256 of its DER encoding, 64 hexadecimal digits.
    id: str
    #: When and why it was revoked; ``null`` if it is valid.
    revoked: str | None


class ShownRule(msgspec.Struct, frozen=True):
    """What the image of a tier must fulfil."""

    #: The tier; ``*`` for all that are not listed.
    tier: str
    #: The team that signs; ``null`` if only others do.
    team: str | None
    #: Names of the others of which one must have signed the pulled image.
    signed_by: list[str]
    #: How many different keys of the team must sign.
    signatures: int
    #: How many builders must have made the same image.
    builders: int
    #: Patterns; an empty list allows all.
    repositories: list[str]
    branches: list[str]
    clean: bool
    #: Patterns of tests that must have passed.
    tests: list[str]
    #: Patterns of paths; an empty list allows all.
    writes: list[str]
    sbom: bool


class ShownPolicy(msgspec.Struct, frozen=True):
    """The answer to ``tierwright policy show``."""

    path: str
    #: SHA-256 of its bytes.
    digest: str
    version: int
    #: RFC 3339 time.
    expires: str
    #: IDs of the root keys that signed it; ``null`` if no root key was given, so that nothing was verified.
    signed_by: list[str] | None
    keys: list[ShownTeamKey]
    tiers: list[ShownRule]


@click.group()
def verb() -> None:
    """Check, sign and show the policy of a chain, or render it for engines and clusters."""


@verb.command()
@policy_argument
@policy_key_option
@click.option("--unsigned", is_flag=True, help="Check only the content.")
def check(policy: Path, *, policy_keys: tuple[str, ...], unsigned: bool) -> None:
    """Check the content and the signature of FILE, by default chain-policy.yml."""
    if unsigned:
        found = _read(policy)
        click.echo(f"{policy}: version {found.version} is valid until {_until(found)}; its signature was not checked")
        return
    found = open_policy(policy, policy_keys)
    signers = ", ".join(map(str, _signers(policy, policy_keys)))
    click.echo(f"{policy}: version {found.version} is valid until {_until(found)}, and is signed by {signers}")


@verb.command()
@policy_argument
@policy_key_option
@signer_options
def sign(
    policy: Path, *, policy_keys: tuple[str, ...], key: str, public_key: str | None, passphrase_file: str | None
) -> None:
    """Sign FILE, by default chain-policy.yml: add a line to FILE.sigstore.json.

    Signatures of others for the same content stay.
    """
    from ..policy.policy_signature import sign_policy, signature_path  # noqa: PLC0415

    roots = root_keys(policy_keys)
    _read(policy)  # before anybody is asked for a passphrase
    signer = open_chosen_signer(key, public_key, passphrase_file)
    if roots and signer.public_key not in roots:
        raise UsageError(
            f"--key is the key {signer.public_key}, which is no root key (known are {', '.join(map(str, roots))}); "
            "its signature would not count. Sign with a root key, or correct the root keys"
        )
    count = sign_policy(policy, signer, roots)
    click.echo(
        f"{signature_path(policy)} has {count} signature{'s' if count > 1 else ''}; the key {signer.public_key} signed"
    )


@verb.command("show")
@policy_argument
@policy_key_option
@json_option
def show_policy(policy: Path, *, policy_keys: tuple[str, ...], as_json: bool) -> None:
    """Show what FILE requires, by default chain-policy.yml. With root keys, its signature is checked first."""
    roots = root_keys(policy_keys)
    found = open_policy(policy, policy_keys) if roots else _read(policy)
    answer = _shown(policy, found, [key.id for key in _signers(policy, policy_keys)] if roots else None)
    show(answer, lambda: _render(answer), as_json=as_json)


@verb.command()
@policy_argument
@policy_key_option
@click.option("--format", "kind", required=True, type=click.Choice(list(_FORMATS)), help="Who reads the output.")
@click.option(
    "--repository",
    "repositories",
    multiple=True,
    metavar="TIER=REPOSITORY",
    help="The repository of a tier's images: corebuild=registry.example.org/operations/corebuild; repeatable.",
)
def render(policy: Path, *, policy_keys: tuple[str, ...], kind: str, repositories: tuple[str, ...]) -> None:
    """Print what FILE requires of signatures, by default chain-policy.yml, in the language of an engine or cluster."""
    by_tier = dict(_split(each) for each in repositories)
    if len(by_tier) < len(repositories):
        raise UsageError("--repository names a tier twice; give each tier one repository")
    module, function = _FORMATS[kind]
    found = open_policy(policy, policy_keys)
    room = f"{__package__.rpartition('.')[0]}.policy"
    rendering = getattr(importlib.import_module(f"{room}.{module}"), function)(found, by_tier)
    click.echo(rendering.text, nl=False)
    for note in rendering.notes:
        click.echo(note, err=True)


def _split(value: str) -> tuple[str, str]:
    tier, equals, repository = value.partition("=")
    if not tier or not equals or not repository:
        raise UsageError(f"--repository is {value!r}; expected TIER=REPOSITORY")
    return tier, repository


def _read(path: Path) -> Policy:
    from ..policy.policy_signature import read_unsigned_policy  # noqa: PLC0415

    return read_unsigned_policy(path)


def _signers(path: Path, policy_keys: tuple[str, ...]) -> list[PublicKey]:
    from ..policy.policy_signature import find_signers  # noqa: PLC0415

    return find_signers(path, root_keys(policy_keys))


def _until(policy: Policy) -> str:
    return f"{policy.expires:%Y-%m-%d %H:%M} UTC"


def _shown(path: Path, policy: Policy, signed_by: list[str] | None) -> ShownPolicy:
    keys = [(team.name, name, key) for team in policy.teams.values() for name, key in team.keys.items()]
    others = dict.fromkeys((None, name, key) for rule in policy.tiers.values() for name, key in rule.signed_by.items())
    return ShownPolicy(
        path=str(path),
        digest=policy.digest,
        version=policy.version,
        expires=f"{policy.expires:%Y-%m-%dT%H:%M:%SZ}",
        signed_by=signed_by,
        keys=[
            ShownTeamKey(team, name, key.id, str(policy.revoked[key.id]) if key.id in policy.revoked else None)
            for team, name, key in [*keys, *others]
        ],
        tiers=[_shown_rule(tier, rule) for tier, rule in policy.tiers.items()],
    )


def _shown_rule(tier: str, rule: TierRule) -> ShownRule:
    return ShownRule(
        tier=tier,
        team=rule.team,
        signed_by=list(rule.signed_by),
        signatures=rule.signatures,
        builders=rule.builders,
        repositories=list(rule.repositories),
        branches=list(rule.branches),
        clean=rule.clean,
        tests=list(rule.tests),
        writes=list(rule.writes),
        sbom=rule.sbom,
    )


_DIGITS = 12


def _render(answer: ShownPolicy) -> Iterator[str | Table]:
    signed = "not verified, because no root key is given"
    if answer.signed_by is not None:
        signed = f"signed by {', '.join(each[:_DIGITS] for each in answer.signed_by)}"
    yield f"{answer.path}: version {answer.version}, until {answer.expires}, {signed}"
    yield ""
    heads = ("TIER", "SIGNED BY", "KEYS>", "BUILDERS>", "MORE")
    yield Table(heads, [_row(rule) for rule in answer.tiers])
    yield ""
    rows = [(key.team or "-", key.name, key.id[:_DIGITS], key.revoked or "-") for key in answer.keys]
    yield Table(("TEAM", "NAME", "KEY", "REVOKED"), rows)


def _row(rule: ShownRule) -> tuple[str, ...]:
    signer = " and ".join([*([rule.team] if rule.team else []), " or ".join(rule.signed_by)]).removesuffix(" and ")
    if rule.team is None:
        return (rule.tier, signer, "1", "-", "-")
    more = [
        *(f"from {each}" for each in rule.repositories),
        *(f"branch {each}" for each in rule.branches),
        *([] if rule.clean else ["may have uncommitted changes"]),
        *(f"test {each}" for each in rule.tests),
        *(f"writes {each}" for each in rule.writes),
        *(["SBOM"] if rule.sbom else []),
    ]
    return (rule.tier, signer, str(rule.signatures), str(rule.builders), ", ".join(more) or "-")
