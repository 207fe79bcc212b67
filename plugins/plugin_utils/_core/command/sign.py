# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright sign``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ..errors import EngineError, UsageError
from ..text import one_line, printable
from .find_record import find_config
from .progress_line import say
from .signer_options import open_chosen_signer, signer_options

if TYPE_CHECKING:
    from ..custody.record_store import LocalRecords
    from ..custody.second_signature import Request
    from ..custody.stored_statements import StoredStatement

# `tierwright --help` imports all verbs, and cryptography is slow to import. So the functions import what they need.

#: How many tests are listed.
_SHOWN = 20
_KEY_DIGITS = 12


@click.command()
@click.argument("image", metavar="TIER|IMAGE")
@click.option("-y", "--yes", is_flag=True, help="Sign without asking.")
@signer_options
def verb(image: str, *, yes: bool, key: str, public_key: str | None, passphrase_file: str | None) -> None:
    """Sign what is known about an image, as a further person: its build, its tests, and the image itself.

    Of a tier, the newest image with records on this machine is signed. It is shown first: source, builder and tests.
    """
    from ..custody.record_store import LocalRecords  # noqa: PLC0415
    from ..custody.second_signature import sign_statements, unsigned_by  # noqa: PLC0415

    records = LocalRecords(say)
    request = _request(records, find_config(records, image))
    for line in _describe(request):
        click.echo(printable(line))
    signer = open_chosen_signer(key, public_key, passphrase_file)
    missing = unsigned_by(records, request, signer.public_key)
    if not missing:
        click.echo(f"the key {signer.public_key} has signed all of this before")
        return
    question = f"Sign {len(missing)} statements with the key {signer.public_key}?"
    if not yes and not _confirm(question):
        raise click.Abort
    sign_statements(records, request.config, missing, signer)
    click.echo(f"signed {len(missing)} statements about {request.config} with the key {signer.public_key}")


def _request(records: LocalRecords, config: str) -> Request:
    from ..custody.second_signature import request_signature  # noqa: PLC0415
    from ..custody.stored_statements import stored_statements  # noqa: PLC0415

    if stored_statements(records, config):
        return request_signature(records, config, None)
    from ..engine.engine import connect  # noqa: PLC0415

    try:
        engine = connect()
    except EngineError:  # without one, there may be a better reason why nothing can be signed
        engine = None
    return request_signature(records, config, engine)


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "signing asks whether you want it, and there is no terminal; use --yes if you have looked at it"
        )
    return click.confirm(question)


def _describe(request: Request) -> Iterator[str]:
    from ..custody.predicates import GATE, PROVENANCE  # noqa: PLC0415
    from ..custody.stored_statements import text_at, value_at  # noqa: PLC0415

    provenance = request.of_kind(PROVENANCE)
    predicate = provenance.statement.predicate if provenance else {}
    given = value_at(predicate, "buildDefinition", "externalParameters")
    yield f"tier     {text_at(given, 'tier')} of team {text_at(given, 'team')}, chain {text_at(given, 'chain')}"
    yield f"image    {request.config} (configuration)"
    yield f"         {request.manifest} (manifest)"
    yield f"source   {_source(value_at(given, 'source'))}"
    metadata, builder = value_at(predicate, "runDetails", "metadata"), value_at(predicate, "runDetails", "builder")
    byproducts = value_at(predicate, "runDetails", "byproducts")
    who = byproducts[0] if isinstance(byproducts, list) and byproducts else None
    yield (
        f"built    {text_at(metadata, 'finishedOn')} by {text_at(who, 'annotations', 'user')} on "
        f"{text_at(who, 'annotations', 'machine')}, run {text_at(metadata, 'invocationId')}"
    )
    yield f"builder  {text_at(builder, 'id')}"
    gate = request.of_kind(GATE)
    yield from _describe_tests(gate) if gate else ["tests    none are recorded"]
    keys = sorted({each[:_KEY_DIGITS] for statement in request.statements for each in statement.keys if each})
    yield f"signed   {', '.join(keys) or 'by nobody yet'}" + (" (keys, not verified)" if keys else "")


def _source(source: object) -> str:
    from ..custody.stored_statements import text_at, value_at  # noqa: PLC0415

    if not source:
        return "no role"
    parts = [text_at(source, "repository") or "no address", f"branch {text_at(source, 'branch') or 'unknown'}"]
    state = "no uncommitted changes" if value_at(source, "clean") is True else "WITH UNCOMMITTED CHANGES"
    version = text_at(source, "commit") or text_at(source, "version")
    return one_line(", ".join([*parts, version or "unknown version", state]), 200)


def _describe_tests(gate: StoredStatement) -> Iterator[str]:
    from ..custody.stored_statements import text_at, texts_at  # noqa: PLC0415

    predicate = gate.statement.predicate
    passed, skipped, failed = (texts_at(predicate, f"{kind}Tests") for kind in ("passed", "warned", "failed"))
    counts = f"{len(passed)} passed, {len(skipped)} skipped, {len(failed)} failed"
    yield f"tests    {text_at(predicate, 'result')}: {counts}, {gate.time}"
    marked = [*(f"FAILED {name}" for name in failed), *(f"skipped {name}" for name in skipped), *passed]
    yield from (f"         {one_line(name, 150)}" for name in marked[:_SHOWN])
    if len(marked) > _SHOWN:
        yield f"         and {len(marked) - _SHOWN} more"
