# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright keys``: the signing keys of teams."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ..errors import NotFoundError, UsageError, describe_error
from ..local_files import write_durably
from ..text import printable_lines
from .output import json_option, show
from .passphrase import new_passphrase, passphrase_option, passphrase_source

if TYPE_CHECKING:
    from ..signing.policy_keys import PolicyKey
    from ..signing.public_key import PublicKey

# `tierwright --help` imports all verbs, and cryptography is slow to import. So the functions import what they need.

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"(?P<name>.+?)(?:-(?P<number>[0-9]{1,4}))?")
_POLICY = "chain-policy.yml"
_SIGN = "tierwright policy sign"

_type_option = click.option("--type", "kind", type=click.Choice(["p256", "ed25519"]))
_policy_option = click.option(
    "--policy", default=_POLICY, show_default=True, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path)
)


class ShownKey(msgspec.Struct, frozen=True):
    """The answer to ``tierwright keys show``."""

    #: SHA-256 of its DER encoding, 64 hexadecimal digits.
    id: str
    #: ``p256`` or ``ed25519``.
    type: str
    #: The public key in PEM.
    public_key: str


@click.group()
def verb() -> None:
    """Make, show, replace and revoke the keys that teams sign with."""


@verb.command()
@click.argument("name")
@click.option("--team", required=True, help="The team that signs with it.")
@click.option(
    "--folder",
    default="keys",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its files are written.",
)
@_type_option
@passphrase_option
def new(name: str, *, team: str, folder: Path, kind: str | None, passphrase_file: str | None) -> None:
    """Make a key: FOLDER/NAME.key is private and encrypted, FOLDER/NAME.pub is public.

    Nothing is overwritten. The output is what the policy needs.
    """
    from ..signing.policy_keys import add_lines  # noqa: PLC0415

    path = folder / f"{_check_name(name)}.key"
    key = _make(kind or "p256", path, passphrase_file)
    click.echo(f"{path} is the private key, and {path.with_suffix('.pub')} the public one: {key.type}, ID {key.id}\n")
    click.echo(f"For the policy, {_POLICY}; then raise its version, and run {_SIGN}:\n\n{add_lines(team, name, key)}")
    click.echo(f"For the inventory, in group_vars/{team}.yml: tier_signing_key, {path.absolute()}, and")
    click.echo("tier_signing_passphrase, from a vault.")


@verb.command("show")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@passphrase_option
@json_option
def show_key(file: Path, *, passphrase_file: str | None, as_json: bool) -> None:
    """Show the ID, the type and the public key of FILE, a public or private key."""
    key = _read_key(file, passphrase_file)
    answer = ShownKey(key.id, key.type, key.pem)
    show(
        answer, lambda: (f"ID    {answer.id}", f"type  {answer.type}", *answer.public_key.splitlines()), as_json=as_json
    )


@verb.command()
@click.argument("old", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", help="The new name; by default, the old one with the next number.")
@click.option("--team", help="The team, if the policy does not have the old key.")
@_type_option
@_policy_option
@passphrase_option
def rotate(
    old: Path, *, name: str | None, team: str | None, kind: str | None, policy: Path, passphrase_file: str | None
) -> None:
    """Make a key that replaces the one whose public key is FILE, and show what changes in the policy.

    The policy is not changed. Both keys are valid until it drops the old one.
    """
    from ..signing.policy_keys import add_lines, list_keys  # noqa: PLC0415

    if old.suffix == ".key":
        old = old.with_suffix(".pub")  # it is not encrypted
    former = _read_key(old, None)
    keys = list_keys(_read_policy(policy), str(policy)) if policy.exists() else []
    places = [each for each in keys if each.key == former]
    if not places and team is None:
        problem = "does not have it" if policy.exists() else "does not exist"
        raise UsageError(
            f"the team of the key {former} is not known, because {policy} {problem}; use --team or --policy"
        )
    owner = team or places[0].owner
    path = old.with_name(f"{_check_name(name or _next_name(old.stem))}.key")
    key = _make(kind or former.type, path, passphrase_file)
    click.echo(f"{path} is the new private key, and {path.with_suffix('.pub')} the public one: {key.type}, ID {key.id}")
    for line in _steps(places, path, add_lines(owner, path.stem, key), policy):
        click.echo(printable_lines(line))


def _steps(places: list[PolicyKey], path: Path, lines: str, policy: Path) -> Iterator[str]:
    yield f"\n1. Add the new key to {policy}, raise its version, and run {_SIGN}:\n\n{lines}"
    yield f"2. When all who verify have this policy, set tier_signing_key to {path.absolute()}. Both keys are valid."
    for each in places:
        yield (
            f"3. When no image in use is signed with the old key only, remove {each.place}.{each.name} ({each.key}) "
            f"from {policy}, raise its version, and run {_SIGN}."
        )
        yield f"   If the old key was stolen: tierwright keys revoke {each} --reason REASON"
    if not places:
        yield f"3. {policy} does not have the old key, so nothing is to be removed."


@verb.command()
@click.argument("key")
@click.option("--reason", required=True, help="Why: 'laptop lost'. The policy shows it with today's date.")
@_policy_option
def revoke(key: str, *, reason: str, policy: Path) -> None:
    """Revoke KEY in the policy: TEAM/NAME, an ID, or a file with a public key.

    Signatures of the key do not count any more, however old they are. The policy must be signed again.
    """
    from ..signing.policy_keys import find_key, revoke_key  # noqa: PLC0415

    if not reason.strip() or not reason.isprintable():
        raise UsageError("--reason is empty, or has several lines; expected a few words: 'laptop lost'")
    text = _read_policy(policy)
    wanted = _read_key(Path(key), None).id if key.endswith(".pub") else key
    found = find_key(text, wanted, str(policy))
    changed = revoke_key(text, found.key, f"{datetime.now(UTC).date()} {reason.strip()}", str(policy))
    path = policy.resolve()  # a link stays a link
    mode = path.stat().st_mode
    write_durably(path, changed)
    path.chmod(mode)
    click.echo(printable_lines(f"{policy}: {found} is revoked, ID {found.key.id}"))
    click.echo(f"{policy} does not count until it is signed again: {_SIGN}")


def _make(kind: str, path: Path, passphrase_file: str | None) -> PublicKey:
    from ..signing.core_files import forbid_core_files  # noqa: PLC0415
    from ..signing.private_key import check_free, make_key_pair  # noqa: PLC0415

    check_free(path)  # before somebody types a passphrase
    forbid_core_files()
    return make_key_pair(kind, path, new_passphrase(passphrase_file, str(path)))


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a name of a key; expected at most 64 letters, digits, '-', '_' or '.': alice"
        )
    return name


def _next_name(name: str) -> str:
    match = _NUMBER.fullmatch(name)
    return f"{match['name']}-{int(match['number'] or 1) + 1}" if match else name


def _read_key(file: Path, passphrase_file: str | None) -> PublicKey:
    from ..signing.private_key import read_key_file  # noqa: PLC0415
    from ..signing.public_key import describe_key, read_public_key  # noqa: PLC0415

    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}; `tierwright keys new` makes a key") from None
    except OSError as error:
        raise NotFoundError(f"the key {file} cannot be read: {describe_error(error)}") from None
    if b"PUBLIC KEY-----" in content:
        return read_public_key(content, str(file))
    private = read_key_file(file, passphrase_source(passphrase_file), "FILE")
    return describe_key(private.public_key(), str(file))


def _read_policy(policy: Path) -> str:
    try:
        return policy.read_text()
    except FileNotFoundError:
        raise NotFoundError(f"there is no policy {policy}; --policy names it") from None
    except (OSError, ValueError) as error:
        raise NotFoundError(f"the policy {policy} cannot be read: {describe_error(error)}") from None
