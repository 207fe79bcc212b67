# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright records``: the signed records of images on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ..errors import UsageError, describe_error
from ..text import age, one_line, short
from .find_record import find_config
from .output import Table, json_option, show
from .progress_line import say

if TYPE_CHECKING:
    from ..custody.record_store import LocalRecords

# `tierwright --help` imports all verbs, and cryptography is slow to import. So the functions import what they need.

_HEADS = ("TIER", "IMAGE", "STATEMENT", "TIME>", "KEYS")
_KEY_DIGITS = 12


class ListedStatement(msgspec.Struct, frozen=True):
    """A statement about an image. Its signatures are not verified."""

    #: The type of its predicate, a URI.
    type: str
    #: When the build or the tests ended, in RFC 3339; ``null`` for other statements.
    time: str | None
    #: ``sha256:…`` of its bytes.
    digest: str
    #: IDs of the keys that its signatures name.
    keys: list[str]


class RecordedImage(msgspec.Struct, frozen=True):
    """An image with records."""

    #: ``sha256:…`` of its configuration.
    image: str
    #: The chain and the tier that the records name; ``null`` if they name none.
    chain: str | None
    tier: str | None
    #: Whether this machine knows how it was built, so that it can be signed here.
    built_here: bool
    statements: list[ListedStatement]


class RecordList(msgspec.Struct, frozen=True):
    """The answer to ``tierwright records list``."""

    images: list[RecordedImage]


@click.group()
def verb() -> None:
    """List, export and import the signed records of images.

    TIER means its newest image with records on this machine.
    """


@verb.command("list")
@click.argument("image", metavar="[TIER|IMAGE]", required=False)
@json_option
def list_(image: str | None, *, as_json: bool) -> None:
    """List the records on this machine, of all images or of one. Nothing is verified."""
    records = _open()
    configs = [find_config(records, image)] if image else records.configs()
    answer = RecordList([_describe(records, config) for config in configs])
    show(answer, lambda: _render(answer), as_json=as_json)


@verb.command("export")
@click.argument("image", metavar="TIER|IMAGE")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(image: str, file: Path) -> None:
    """Write the records of an image to FILE, for a machine that has no access to the same registry."""
    from ..custody.record_archive import export_records  # noqa: PLC0415

    records = _open()
    config = find_config(records, image)
    try:
        count = export_records(records, config, file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {describe_error(error)}") from None
    click.echo(f"{count} records of image {config} are in {file}")


@verb.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Add the records in FILE to those on this machine. Signatures are verified when the image is used."""
    from ..custody.record_archive import import_records  # noqa: PLC0415

    try:
        counts = import_records(_open(), file)
    except OSError as error:
        raise UsageError(f"{file} cannot be imported: {describe_error(error)}") from None
    for config, count in counts.items():
        click.echo(f"{count} records of image {config}")


def _open() -> LocalRecords:
    from ..custody.record_store import LocalRecords  # noqa: PLC0415

    return LocalRecords(say)


def _describe(records: LocalRecords, config: str) -> RecordedImage:
    from ..custody.build_facts import noted_facts  # noqa: PLC0415
    from ..custody.stored_statements import stored_statements  # noqa: PLC0415

    facts = noted_facts(records, config)
    found = stored_statements(records, config, say)
    provenance = next((each for each in found if each.tier), None)
    statements = [
        ListedStatement(
            each.statement.predicate_type, each.time or None, each.digest, [key for key in each.keys if key]
        )
        for each in found
    ]
    return RecordedImage(
        image=config,
        chain=facts.chain if facts else (provenance and provenance.chain) or None,
        tier=facts.tier if facts else (provenance and provenance.tier) or None,
        built_here=facts is not None,
        statements=statements,
    )


def _render(answer: RecordList) -> Iterator[str | Table]:
    if not answer.images:
        yield "there are no records on this machine; a build makes them"
        return
    yield Table(_HEADS, [row for image in answer.images for row in _rows(image)])


def _rows(image: RecordedImage) -> Iterator[tuple[str, ...]]:
    first = one_line(image.tier or "-", 40), short(image.image)
    for each in image.statements:
        keys = " ".join(key[:_KEY_DIGITS] for key in each.keys)
        yield (*first, one_line(each.type.partition("://")[2], 60), age(each.time), keys or "-")
    if not image.statements:
        yield (*first, "not signed", "-", "-")
