# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an image's apt gets packages from (``sources.list(5)``), in both of its forms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+\S+)*)")
_YES = frozenset({"yes", "true", "with", "on", "enable", "1"})


@dataclass(frozen=True, slots=True)
class Source:
    """One suite of one archive."""

    #: Without a slash at the end.
    uri: str
    #: A path that ends with a slash where packages lie flat in a folder.
    suite: str
    #: None where packages lie flat in a folder.
    components: tuple[str, ...] = ()
    #: The only ones that are fetched; none means those of the image.
    architectures: tuple[str, ...] = ()
    #: Paths of keyrings, fingerprints, or a key itself; empty for all keys that the image's apt trusts.
    signed_by: str = ""
    #: Whether apt takes it without a signature.
    trusted: bool = False
    #: Whether it may be out of date.
    ages: bool = False


def one_line(text: str) -> Iterator[Source]:
    """Read a file ``*.list``. Lines that are no sources of packages are passed over."""
    for line in text.splitlines():
        found = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if found is None:
            continue
        options = dict(each.partition("=")[::2] for each in (found["options"] or "").split())
        yield _source(found["uri"], found["suite"], found["components"], {key.lower(): options[key] for key in options})


def deb822(text: str) -> Iterator[Source]:
    """Read a file ``*.sources``. Stanzas that are off, or no sources of packages, are passed over."""
    for fields in stanzas(text):
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() in _YES:
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield _source(uri, suite, fields.get("components", ""), fields)


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Read paragraphs of fields; names are lower case, lines that go on keep their ends (``deb822(5)``)."""
    fields: dict[str, str] = {}
    name = ""
    for line in (*text.splitlines(), ""):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0].isspace():
            if name:
                fields[name] += f"\n{line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def _source(uri: str, suite: str, components: str, options: Mapping[str, str]) -> Source:
    architectures = options.get("architectures", options.get("arch", ""))
    return Source(
        uri=uri.rstrip("/"),
        suite=suite,
        components=tuple(components.split()),
        architectures=tuple(re.split(r"[\s,]+", architectures.strip())) if architectures.strip() else (),
        signed_by=options.get("signed-by", "").strip(),
        trusted=options.get("trusted", "").lower() in _YES,
        ages=options.get("check-valid-until", "yes").lower() not in _YES,
    )
