# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bills of materials in CycloneDX 1.6, as plain dictionaries (https://cyclonedx.org/docs/1.6/json/).

cyclonedx-python-lib is not used: its objects serialize to this form only, and each command would import it. The tests
check the documents with its validator.

Equal packages give equal documents: the serial number comes from digests, and the time from the image. Only packages
that a package manager installed are listed, and the document says that it is incomplete.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from .components import Component, ImageComponents, Owner, Part
from .distribution import Distribution
from .purl import write_purl

#: The in-toto predicate type of these documents.
PREDICATE = "https://cyclonedx.org/bom"
#: Namespace of the serial numbers.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://tierwright.github.io/sbom")

_PREFIX = "tierwright:"
_ADDRESS = re.compile(r"(?P<email>[^\s@<>]+@[^\s@<>]+)>")
_Object = dict[str, Any]


def write_image(image: ImageComponents) -> _Object:
    """Return the document of an image: what is installed in it, with the tier that last changed each package."""
    subject: _Object = {
        "type": "container",
        "bom-ref": "image",
        "name": image.name,
        "version": image.id,
        "properties": [*_unread(image.unread)],
    }
    ancestor = _parent(image, image.parts[-1] if image.parts else None)
    if ancestor:
        subject["pedigree"] = {"ancestors": [ancestor]}
    return _document(image.id, image.created, subject, image.installed, image.distribution, ())


def write_part(image: ImageComponents, part: Part) -> _Object:
    """Return the document of one tier or layer: what it added and changed, and the names of what it removed.

    Args:
        image: An image that contains the tier or layer.
        part: One of its parts.
    """
    subject: _Object = {
        "type": "container",
        "bom-ref": "layer",
        "name": part.owner.called,
        **({"version": part.owner.layer} if part.owner.layer else {}),
        "properties": [
            *_origin(part.owner),
            *(_property("removed", write_purl(component, part.distribution)) for component in part.removed),
            *_unread(part.unread),
        ],
    }
    return _document(part.chain, part.created, subject, part.components, part.distribution, [_parent(image, part)])


def _document(
    identity: str,
    created: str | None,
    subject: _Object,
    packages: Iterable[Component],
    distribution: Distribution,
    based_on: Iterable[_Object | None],
) -> _Object:
    references = Counter[str]()
    written = [_component(component, distribution, references) for component in packages]
    others = [*filter(None, based_on), *_operating_system(distribution)]
    depends = [component["bom-ref"] for component in (*others, *written)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, identity)}",
        "version": 1,
        "metadata": {
            **({"timestamp": created} if created else {}),
            "tools": {"components": [{"type": "application", "name": "tierwright"}]},
            "component": {name: value for name, value in subject.items() if value},
        },
        "components": [*others, *written],
        "dependencies": [
            {"ref": subject["bom-ref"], "dependsOn": depends},
            *({"ref": reference} for reference in depends),
        ],
        "compositions": [{"aggregate": "incomplete", "assemblies": [subject["bom-ref"]]}],
    }


def _component(component: Component, distribution: Distribution, references: Counter[str]) -> _Object:
    package, purl = component.package, write_purl(component, distribution)
    references[purl] += 1
    source = f"{package.source} {package.source_version}".strip()
    return {
        "type": "library",
        # References must be unique, and two names can have the same package URL: it has no capital letters.
        "bom-ref": purl if references[purl] == 1 else f"{references[purl]}:{purl}",
        **({"supplier": _supplier(package.maintainer)} if package.maintainer else {}),
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "properties": [
            *_origin(component.owner),
            _property("change", component.change.value),
            *([_property("before", component.before)] if component.before else []),
            *([_property("source", source)] if source else []),
        ],
    }


def _supplier(maintainer: str) -> _Object:
    name, _, rest = maintainer.partition("<")
    match = _ADDRESS.fullmatch(rest.strip())
    return {"name": name.strip() or maintainer, **({"contact": [{"email": match["email"]}]} if match else {})}


def _parent(image: ImageComponents, part: Part | None) -> _Object | None:
    """Return the image that a part is based on; ``None`` for the lowest part.

    Its ID is known only for the newest part. Its layer is known for each.
    """
    below = image.below(part) if part else None
    if below is None:
        return None
    identity = image.parent if part is image.parts[-1] else None
    return {
        "type": "container",
        "bom-ref": "parent",
        "name": below.owner.called,
        **({"version": identity} if identity else {}),
        "properties": [*_origin(below.owner)],
    }


def _operating_system(distribution: Distribution) -> Iterator[_Object]:
    if distribution.id:
        yield {
            "type": "operating-system",
            "bom-ref": "operating-system",
            "name": distribution.id,
            **({"version": distribution.version} if distribution.version else {}),
        }


def _origin(owner: Owner) -> Iterator[_Object]:
    yield from (_property(name, value) for name, value in owner.known())


def _unread(sentences: Iterable[str]) -> Iterator[_Object]:
    yield from (_property("unread", sentence) for sentence in sentences)


def _property(name: str, value: str) -> _Object:
    return {"name": _PREFIX + name, "value": value}
