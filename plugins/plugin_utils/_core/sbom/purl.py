# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Package URLs: written for components, and read from reports of scanners.

https://github.com/package-url/purl-spec
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

import msgspec

from .components import Component
from .distribution import Distribution

_TYPES = {"dpkg": "deb", "apk": "apk", "rpm": "rpm"}
#: Types of packages that package databases list.
SYSTEM_TYPES = frozenset(_TYPES.values())
_LONGEST = 4096


class PackageUrl(msgspec.Struct, frozen=True):
    """The parts of a package URL."""

    #: ``deb``, ``pypi`` …
    type: str
    namespace: str
    name: str
    #: With the epoch, as package managers write it; empty if there is none.
    version: str
    qualifiers: Mapping[str, str] = msgspec.field(default_factory=dict)


def write_purl(component: Component, distribution: Distribution) -> str:
    """Return the package URL of a component.

    The qualifier ``upstream`` names the source package if it differs. Scanners look up findings by it.
    """
    package, kind = component.package, _TYPES[component.manager]
    name, version, epoch = package.name, package.version, ""
    if kind == "rpm":
        epoch, colon, rest = version.partition(":")
        epoch, version = (epoch, rest) if colon else ("", version)
    else:
        name = name.lower()
    qualifiers = {
        "arch": package.architecture,
        "distro": str(distribution) if distribution.version else "",
        "epoch": epoch,
        "upstream": _upstream(component),
    }
    parts = [f"pkg:{kind}", *filter(None, [_encode(distribution.id)]), _encode(name)]
    query = "&".join(f"{key}={_encode(value)}" for key, value in sorted(qualifiers.items()) if value)
    return "/".join(parts) + (f"@{_encode(version)}" if version else "") + (f"?{query}" if query else "")


def read_purl(text: str) -> PackageUrl | None:
    """Read a package URL; ``None`` if it is not one. The epoch becomes a part of the version."""
    scheme, _, rest = text[:_LONGEST].partition(":")
    path, _, query = rest.partition("#")[0].partition("?")
    path, _, version = path.strip("/").rpartition("@") if "@" in path else (path.strip("/"), "", "")
    kind, _, names = path.partition("/")
    namespace, _, name = names.rpartition("/")
    if scheme.lower() != "pkg" or not kind or not name:
        return None
    pairs = (pair.partition("=") for pair in query.split("&"))
    qualifiers = {key.lower(): unquote(value) for key, _, value in pairs if value}
    epoch = qualifiers.get("epoch", "")
    version = unquote(version)
    if epoch and not version.startswith(f"{epoch}:"):
        version = f"{epoch}:{version}"
    return PackageUrl(kind.lower(), unquote(namespace), unquote(name), version, qualifiers)


def _upstream(component: Component) -> str:
    package = component.package
    if package.source in {"", package.name}:
        return "" if package.source_version in {"", package.version} else f"{package.name}@{package.source_version}"
    same = package.source_version in {"", package.version}
    return package.source if same else f"{package.source}@{package.source_version}"


def _encode(text: str) -> str:
    """Percent-encode one part. The specification leaves colons as they are."""
    return quote(text, safe=":")
