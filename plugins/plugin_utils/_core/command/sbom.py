# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright sbom``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError, describe_error
from ..layer_index.index import Store
from ..sbom import cyclonedx, spdx
from ..sbom.component_reader import read_components
from ..text import printable
from ..transports.image import open_stack

_FORMATS = {"cyclonedx": cyclonedx, "spdx": spdx}


@click.command()
@click.argument("image")
@click.option("--tier", metavar="TIER", help="Only what this tier added, changed and removed.")
@click.option("--layers", is_flag=True, help="One document for each layer, as a list.")
@click.option("--format", "form", type=click.Choice(list(_FORMATS)), default="cyclonedx", help="Default: cyclonedx.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
def verb(image: str, *, tier: str | None, layers: bool, form: str, output: Path | None) -> None:
    """Write the software bill of materials of IMAGE: its packages, each with the tier and team that last changed it.

    The document is CycloneDX 1.6 or SPDX 2.3, as JSON.
    """
    if tier is not None and layers:
        raise UsageError("--tier and --layers exclude each other")
    module = _FORMATS[form]
    found = read_components(open_stack(image, Store()))
    document: Any
    if layers:
        document = [module.write_part(found, part) for part in found.parts]
    elif tier is not None:
        document = module.write_part(found, found.part_of(tier))
    else:
        document = module.write_image(found)
    _write(json.dumps(document, indent=2), output)
    for sentence in found.unread:
        click.echo(printable(sentence), err=True)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n")
    except OSError as error:
        raise UsageError(f"the document cannot be written: {describe_error(error)}") from error
