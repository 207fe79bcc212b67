# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where apt gets packages from, and whether it trusts them.

Why something of an archive is not used. Users read these as parts of an answer, not as its failure.

Where an image's apt gets packages from (``sources.list(5)``), in both of its forms.

Whether an archive's ``InRelease`` is signed with a key that the image trusts, by this machine's gpgv.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..layer_index.merged_files import Kept


class NotReadError(Exception):
    """An archive does not answer, or its answer cannot be used."""


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


_BEGIN, _END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
_CLEARTEXT = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[^\n]+\n)*\n(.*)\n-----BEGIN PGP SIGNATURE-----\n", re.DOTALL
)
_TRUSTED = r"etc/apt/trusted\.gpg(\.d/.*)?"

CHECKED = "checked"


def keyrings(source: Source, kept: Kept) -> list[bytes] | None:
    """Find the keys that a source has to be signed with one of.

    Returns:
        Contents of keyrings; ``None`` where the image names a key in a way that is not followed here.
    """
    if "BEGIN PGP" in source.signed_by:
        # "." stands for an empty line in a field.
        return [re.sub(r"^\.$", "", source.signed_by, flags=re.MULTILINE).strip().encode() + b"\n"]
    names = re.split(r"[\s,]+", source.signed_by) if source.signed_by else kept.named(_TRUSTED)
    if any("/" not in name for name in names):  # a fingerprint
        return None
    return [content for name in names if (content := kept.read(name)) is not None]


def check(message: bytes, keys: list[bytes] | None) -> tuple[bytes, str]:
    """Check a clear-signed message.

    Args:
        message: It, with its signatures.
        keys: Contents of keyrings, binary or armoured; ``None`` where they are not known.

    Returns:
        What is signed; and :data:`CHECKED`, or why it could not be checked.

    Raises:
        NotReadError: It is no such message, or none of the keys signed it as it is.
    """
    if keys is None:
        return _unchecked(message), "not checked: the image names its key by a fingerprint"
    if not keys:
        return _unchecked(message), "not checked: the image holds no keyring for it"
    if shutil.which("gpgv") is None:
        return _unchecked(message), "not checked: there is no gpgv on this machine"
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        signed, plain = Path(folder, "signed"), Path(folder, "plain")
        signed.write_bytes(message)
        command = ["gpgv", "--status-fd", "1", "--output", str(plain)]
        for number, content in enumerate(keys):
            keyring = Path(folder, f"{number}.gpg")
            keyring.write_bytes(_binary(content))
            command += ["--keyring", str(keyring)]
        done = subprocess.run([*command, str(signed)], capture_output=True, check=False)
        # Several keys may have signed it, and the image need not have all of them: then the status is not 0.
        said = {line.split()[1] for line in done.stdout.splitlines() if line.startswith(b"[GNUPG:] ")}
        if b"GOODSIG" not in said or b"BADSIG" in said or not plain.is_file():
            raise NotReadError("it is not signed with a key that the image trusts")
        return plain.read_bytes(), CHECKED


def _unchecked(message: bytes) -> bytes:
    found = _CLEARTEXT.search(message.replace(b"\r\n", b"\n"))
    if found is None:
        raise NotReadError("it is no signed message")
    return re.sub(rb"^- ", b"", found[1], flags=re.MULTILINE)


def _binary(key: bytes) -> bytes:
    """What gpgv reads: it knows no armour (RFC 9580, section 6.2)."""
    if _BEGIN not in key:
        return key
    found = bytearray()
    for block in key.replace(b"\r", b"").split(_BEGIN)[1:]:
        _headers, _, body = block.partition(_END)[0].partition(b"\n\n")
        with suppress(binascii.Error):  # a key that is damaged signs nothing
            found += base64.b64decode(body.partition(b"\n=")[0])
    return bytes(found)
