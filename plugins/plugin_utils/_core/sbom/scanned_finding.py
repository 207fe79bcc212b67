# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A finding of a vulnerability scanner, in the form that all report formats are converted to."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from ..text import printable
from .purl import SYSTEM_TYPES, read_purl

#: Kind of a package of the distribution, if the report does not name the package manager.
SYSTEM = "system"

#: The worst first.
SEVERITIES = ("critical", "high", "medium", "low", "negligible", "info", "none", "unknown")

#: Characters of one text; the rest is cut.
_LONGEST = 500
#: Fixed versions, and paths, of one finding; the rest is cut.
_MOST = 20
#: Characters of a path, as in Linux. A longer one cannot exist.
_LONGEST_PATH = 4096
_SYNONYMS = {"important": "high", "moderate": "medium"}
#: Older types of package URLs.
_OLD_TYPES = {"alpine": "apk"}


class ScannedPackage(msgspec.Struct, frozen=True):
    """A package, as a report names it. Unknown texts are empty."""

    #: Type of the package URL: ``deb``, ``pypi`` …; otherwise :data:`SYSTEM`, or empty.
    kind: str
    name: str
    version: str
    architecture: str

    @property
    def is_system(self) -> bool:
        """Whether it can be a package of the distribution."""
        return self.kind in {"", SYSTEM, *SYSTEM_TYPES}


class ScannedFinding(msgspec.Struct, frozen=True):
    """A vulnerability in a package."""

    #: ``CVE-2026-1234``.
    vulnerability: str
    #: One of :data:`SEVERITIES`.
    severity: str
    package: ScannedPackage
    #: Versions without the vulnerability.
    fixed_in: tuple[str, ...] = ()
    #: Whether the scanner says that no version without the vulnerability exists.
    has_no_fix: bool = False
    #: Files in which the scanner found the package, without a slash at the beginning.
    paths: tuple[str, ...] = ()
    #: Digest of the uncompressed layer in which the scanner found it; empty if unknown.
    layer: str = ""
    #: What an analysis says (VEX, or a rule of the scanner); empty without one.
    analysis: str = ""
    #: Whether this analysis says that nobody has to act.
    is_settled: bool = False


def scanned_package(purl: str | None, name: str | None, version: str | None, kind: str | None = "") -> ScannedPackage:
    """Return a package from the values of a report. The package URL decides, except about the version."""
    url = read_purl(purl or "")
    if url is None:
        return ScannedPackage(kind or "", name or "", version or "", "")
    url_kind = _OLD_TYPES.get(url.type, url.type)
    return ScannedPackage(url_kind, name or url.name, version or url.version, url.qualifiers.get("arch", ""))


def worst(severities: Iterable[str | None]) -> str:
    """Return the worst severity, in the words of :data:`SEVERITIES`."""
    words = [(word or "").lower() for word in severities]
    known = {_SYNONYMS.get(word, word) for word in words}
    return next((severity for severity in SEVERITIES if severity in known), "unknown")


def tidy(finding: ScannedFinding) -> ScannedFinding:
    """Return a finding whose texts are printable and short."""
    package = finding.package
    return replace(
        finding,
        vulnerability=_short(finding.vulnerability) or "unknown",
        package=ScannedPackage(
            _short(package.kind), _short(package.name), _short(package.version), _short(package.architecture)
        ),
        fixed_in=tuple(dict.fromkeys(_short(version) for version in finding.fixed_in[:_MOST] if version)),
        paths=tuple(path.lstrip("/") for path in finding.paths[:_MOST] if 0 < len(path) <= _LONGEST_PATH),
        layer=_short(finding.layer),
        analysis=_short(finding.analysis),
    )


def _short(text: str) -> str:
    return printable(" ".join(text[:_LONGEST].split()))
