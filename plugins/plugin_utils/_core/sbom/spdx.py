# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bills of materials in SPDX 2.3, as plain dictionaries (https://spdx.github.io/spdx-spec/v2.3/).

spdx-tools is not used: it imports rdflib, and its objects serialize to this form only. The tests check the documents
with its validator.

SPDX has no properties, so the tier, the team and the change of a package are annotations: ``tierwright:tier=web``.
A package that a layer removed is an annotation of the layer. Equal packages give equal documents, as in
:mod:`.cyclonedx`.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from .components import Component, ImageComponents, Owner, Part
from .cyclonedx import NAMESPACE
from .distribution import Distribution
from .purl import write_purl

#: The in-toto predicate type of these documents.
PREDICATE = "https://spdx.dev/Document"

_DOCUMENT = "SPDXRef-DOCUMENT"
_SUBJECT = "SPDXRef-Image"
_PARENT = "SPDXRef-Parent"
_UNKNOWN = "NOASSERTION"
_TOOL = "Tool: tierwright"
#: SPDX requires a time. This one stands for an unknown time.
_NO_TIME = "1970-01-01T00:00:00Z"
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9.-]+")
_ADDRESS = re.compile(r"\s*(?P<name>[^<(]+?)\s*<(?P<email>[^\s@<>()]+@[^\s@<>()]+)>")
_Object = dict[str, Any]


def write_image(image: ImageComponents) -> _Object:
    """Return the document of an image: what is installed in it, with the tier that last changed each package."""
    writer = _Writer(image.created, image.distribution)
    notes = (f"tierwright:unread={sentence}" for sentence in image.unread)
    subject = writer.container(_SUBJECT, image.name, image.id, notes)
    return writer.document(image.name, image.id, subject, image.installed, _parent(image, writer, image.parts[-1:]))


def write_part(image: ImageComponents, part: Part) -> _Object:
    """Return the document of one tier or layer: what it added and changed, and the names of what it removed.

    Args:
        image: An image that contains the tier or layer.
        part: One of its parts.
    """
    writer = _Writer(part.created, part.distribution)
    notes = [
        *_origin(part.owner),
        *(f"tierwright:removed={write_purl(component, part.distribution)}" for component in part.removed),
        *(f"tierwright:unread={sentence}" for sentence in part.unread),
    ]
    subject = writer.container(_SUBJECT, part.owner.called, part.owner.layer, notes)
    return writer.document(part.owner.called, part.chain, subject, part.components, _parent(image, writer, [part]))


class _Writer:
    """Writes the packages of one document: their annotations have its time."""

    def __init__(self, created: str | None, distribution: Distribution) -> None:
        self._created = created or _NO_TIME
        self._distribution = distribution

    def document(
        self,
        name: str,
        identity: str,
        subject: _Object,
        components: Iterable[Component],
        parent: _Object | None,
    ) -> _Object:
        packages = [self._package(component) for component in components]
        relationships = [
            _relationship(_DOCUMENT, "DESCRIBES", _SUBJECT),
            *([_relationship(_SUBJECT, "DESCENDANT_OF", _PARENT)] if parent else []),
            *(_relationship(_SUBJECT, "CONTAINS", package["SPDXID"]) for package in packages),
            # It also contains what no package manager installed.
            _relationship(_SUBJECT, "CONTAINS", _UNKNOWN),
        ]
        return {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": _DOCUMENT,
            "name": name,
            "documentNamespace": f"https://tierwright.github.io/spdx/{uuid.uuid5(NAMESPACE, identity)}",
            "creationInfo": {"created": self._created, "creators": [_TOOL]},
            "packages": [subject, *filter(None, [parent]), *packages],
            "relationships": relationships,
        }

    def container(self, identity: str, name: str, version: str | None, notes: Iterable[str]) -> _Object:
        return {
            "SPDXID": identity,
            "name": name,
            **({"versionInfo": version} if version else {}),
            "primaryPackagePurpose": "CONTAINER",
            **self._common(notes),
        }

    def _package(self, component: Component) -> _Object:
        package, purl = component.package, write_purl(component, self._distribution)
        notes = [
            *_origin(component.owner),
            f"tierwright:change={component.change.value}",
            *([f"tierwright:before={component.before}"] if component.before else []),
        ]
        source = f"{package.source} {package.source_version}".strip()
        return {
            "SPDXID": _identity(component),
            "name": package.name,
            **({"versionInfo": package.version} if package.version else {}),
            **({"supplier": _supplier(package.maintainer)} if package.maintainer else {}),
            **({"sourceInfo": f"built from source package {source}"} if source else {}),
            "primaryPackagePurpose": "LIBRARY",
            "externalRefs": [
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
            ],
            **self._common(notes),
        }

    def _common(self, notes: Iterable[str]) -> _Object:
        annotations = [
            {"annotationDate": self._created, "annotationType": "OTHER", "annotator": _TOOL, "comment": note}
            for note in notes
        ]
        return {
            "downloadLocation": _UNKNOWN,
            "filesAnalyzed": False,
            "licenseConcluded": _UNKNOWN,
            "licenseDeclared": _UNKNOWN,
            "copyrightText": _UNKNOWN,
            **({"annotations": annotations} if annotations else {}),
        }


def _parent(image: ImageComponents, writer: _Writer, parts: Iterable[Part]) -> _Object | None:
    for part in parts:
        if below := image.below(part):
            identity = image.parent if part is image.parts[-1] else None
            return writer.container(_PARENT, below.owner.called, identity, _origin(below.owner))
    return None


def _identity(component: Component) -> str:
    """Return an ID of the characters that SPDX allows. The digest keeps names apart that differ in other characters."""
    package = component.package
    words = (component.manager, package.name, package.architecture, package.version, package.source)
    digest = hashlib.sha256("\n".join((*words, package.source_version)).encode()).hexdigest()[:12]
    return f"SPDXRef-Package-{_NOT_IN_ID.sub('-', package.name)}-{digest}"


def _supplier(maintainer: str) -> str:
    match = _ADDRESS.fullmatch(maintainer)
    if match:
        return f"Organization: {match['name']} ({match['email']})"
    name = " ".join(re.sub(r"[()]", " ", maintainer).split())
    return f"Organization: {name}" if name else _UNKNOWN


def _origin(owner: Owner) -> Iterator[str]:
    yield from (f"tierwright:{name}={value}" for name, value in owner.known())


def _relationship(element: str, kind: str, related: str) -> _Object:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}
