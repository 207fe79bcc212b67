# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads reports of vulnerability scanners: of trivy and grype in their own form, and of any tool in CycloneDX.

A VEX document in CycloneDX is such a report, too: it says which vulnerabilities do not affect a package, and why.
Reports are read as if they were hostile: their size, their findings and the types of their values are limited.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from .. import records
from ..errors import DamagedError, NotFoundError, UnsupportedError, describe_error
from .cyclonedx_report import CycloneDxComponent, CycloneDxVulnerability, read_cyclonedx
from .grype_report import GrypeMatch, GrypeSource, GrypeTarget, read_grype
from .scanned_finding import ScannedFinding, tidy
from .trivy_report import TrivyMetadata, TrivyResult, read_trivy

#: Limits of one report, in bytes and in findings.
LARGEST = 64 << 20
MOST = 200_000


class ScanReport(msgspec.Struct, frozen=True):
    """A report."""

    #: Path of the file.
    file: str
    #: ``trivy``, ``grype`` or ``cyclonedx``.
    form: str
    #: ID of the image that it is about; ``None`` if it does not say.
    image: str | None
    findings: tuple[ScannedFinding, ...]


class _Document(msgspec.Struct):
    """The fields of all three formats. No field has the same name in two of them."""

    schema_version: int | None = msgspec.field(name="SchemaVersion", default=None)
    results: list[TrivyResult] | None = msgspec.field(name="Results", default=None)
    trivy_metadata: TrivyMetadata | None = msgspec.field(name="Metadata", default=None)
    matches: list[GrypeMatch] | None = None
    ignored_matches: list[GrypeMatch] | None = msgspec.field(name="ignoredMatches", default=None)
    source: GrypeSource | None = None
    bom_format: str | None = msgspec.field(name="bomFormat", default=None)
    components: list[CycloneDxComponent] | None = None
    vulnerabilities: list[CycloneDxVulnerability] | None = None


def read_report(path: Path) -> ScanReport:
    """Read a report.

    Raises:
        NotFoundError: There is no such file, or it cannot be read.
        DamagedError: It is too large, is not JSON, or a value has the wrong type.
        UnsupportedError: Its format is not supported.
    """
    what = f"scan report {path}"
    content = _read(path, what)
    try:
        document = records.decode(content, _Document)
    except ValueError as error:
        raise DamagedError(f"{what} is damaged: {error}") from error
    form, image, found = _findings(document, what)
    findings = tuple(map(tidy, islice(found, MOST + 1)))
    if len(findings) > MOST:
        raise DamagedError(f"{what} is not read: it has more than {MOST:,} findings")
    return ScanReport(str(path), form, image, findings)


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise NotFoundError(f"{what} cannot be read: {describe_error(error)}") from error
    if len(content) > LARGEST:
        raise DamagedError(f"{what} is not read: it is larger than {LARGEST >> 20} MiB")
    return content


def _findings(document: _Document, what: str) -> tuple[str, str | None, Iterator[ScannedFinding]]:
    if document.bom_format is not None:
        if document.vulnerabilities is None:
            raise UnsupportedError(f"{what} is a document of CycloneDX without 'vulnerabilities': nothing was scanned")
        return "cyclonedx", None, read_cyclonedx(document.components or (), document.vulnerabilities)
    if document.matches is not None:
        target = document.source.target if document.source else None
        image = target.image_id if isinstance(target, GrypeTarget) else None
        return "grype", image, read_grype(document.matches, document.ignored_matches or ())
    if document.schema_version is not None:
        image = document.trivy_metadata.image_id if document.trivy_metadata else None
        return "trivy", image, read_trivy(document.results or [])
    raise UnsupportedError(
        f"{what} has no known format; expected JSON of trivy (--format json), of grype (-o json), or CycloneDX"
    )
