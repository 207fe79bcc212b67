# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recognises the key and certificate that Debian's package ssl-cert generates, and not a role's own pair there.

``make-ssl-cert`` lets openssl make a certificate for the host name with the template
``/usr/share/ssl-cert/ssleay.cnf``. Subject and issuer consist of the common name only, the same name is the only
alternative name, and the certificate is marked as not an authority. If all of this holds and the key belongs to the
certificate, the pair was generated. A role's own pair does not have all of these properties by chance.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from .file_entry import FileEntry, FileKind, parent, pieces

KEY = b"etc/ssl/private/ssl-cert-snakeoil.key"
CERTIFICATE = b"etc/ssl/certs/ssl-cert-snakeoil.pem"

#: Name of the link by which openssl finds a certificate: the hash of its subject.
_HASH = re.compile(rb"[0-9a-f]{8}\.\d+")

_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----(.+?)-----END", re.DOTALL)

#: Larger files, in bytes, are neither such a key nor such a certificate.
_MAX_SIZE = 1 << 14

#: Object identifiers and values, in DER (ITU-T X.690).
_COMMON_NAME = bytes.fromhex("0603550403")
_NOT_AN_AUTHORITY = bytes.fromhex("0603551d1304023000")
_ALTERNATIVE_NAMES = bytes.fromhex("0603551d11")
_RSA = bytes.fromhex("06092a864886f70d0101010500")
_BIT_STRING, _INTEGER, _OCTETS, _DNS_NAME = 0x03, 0x02, 0x04, 0x82
_SEQUENCE, _SET = 0x30, 0x31


def generated_pair(kept: Mapping[bytes, FileEntry]) -> list[FileEntry]:
    """Find the generated key, the certificate and the links to the certificate among a layer's entries.

    Args:
        kept: The entries by path.

    Returns:
        Their entries; empty if the pair is a role's own, or there is no pair.

    Raises:
        SealError: A file cannot be read.
    """
    key, certificate = kept.get(KEY), kept.get(CERTIFICATE)
    if key is None or certificate is None or not _is_pair(_content(key), _content(certificate)):
        return []
    return [key, certificate, *_links(kept)]


def _links(kept: Mapping[bytes, FileEntry]) -> Iterator[FileEntry]:
    folder, _, name = CERTIFICATE.rpartition(b"/")
    for path, entry in kept.items():
        is_link = entry.kind is FileKind.SYMLINK and entry.target == name and parent(path) == folder
        if is_link and _HASH.fullmatch(path.rpartition(b"/")[2]):
            yield entry


def _content(entry: FileEntry) -> bytes:
    if entry.kind is not FileKind.FILE or not 0 < entry.size <= _MAX_SIZE:
        return b""
    match = _PEM.search(b"".join(pieces(entry)))
    try:
        return base64.b64decode(match[1]) if match else b""
    except binascii.Error:
        return b""


def _is_pair(key: bytes, certificate: bytes) -> bool:
    try:
        name = _value(certificate, certificate.index(_COMMON_NAME) + len(_COMMON_NAME))
        modulus = _modulus(certificate)
    except (IndexError, ValueError):
        return False
    alternative_names = _ALTERNATIVE_NAMES + _wrap(_OCTETS, _wrap(_SEQUENCE, _wrap(_DNS_NAME, name[1])))
    names = _wrap(_SEQUENCE, _wrap(_SET, _wrap(_SEQUENCE, _COMMON_NAME + _wrap(*name))))
    issuer_and_subject = 2
    return (
        certificate.count(names) == issuer_and_subject
        and _NOT_AN_AUTHORITY in certificate
        and alternative_names in certificate
        and modulus in key
    )


def _modulus(certificate: bytes) -> bytes:
    """Return the modulus of an RSA certificate, encoded as in the key."""
    start = certificate.index(_RSA) + len(_RSA)
    _tag, bits = _value(certificate, start)
    _tag, numbers = _value(bits[1:], 0)
    _tag, modulus = _value(numbers, 0)
    return _wrap(_INTEGER, modulus)


def _value(data: bytes, start: int) -> tuple[int, bytes]:
    """Read tag and content of the DER element at ``start``."""
    tag, length, start = data[start], data[start + 1], start + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > len(data):
        raise ValueError(tag)
    return tag, data[start : start + length]


def _wrap(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - the short form of a length
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
