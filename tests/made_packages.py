"""Made-up package databases in layers, for tests of software bills of materials."""

from __future__ import annotations

OS_RELEASE = (
    "usr/lib/os-release",
    b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
)
MAINTAINER = "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>"


def dpkg(*packages: tuple[str, str] | tuple[str, str, str], more: str = "") -> tuple[str, bytes]:
    """Return the database of dpkg. A package is a name, a version, and optionally the content of its field `Source`."""
    paragraphs = []
    for name, version, *source in packages:
        lines = [f"Package: {name}", "Status: install ok installed", "Architecture: amd64", f"Version: {version}"]
        lines += [f"Source: {each}" for each in source] + [f"Maintainer: {MAINTAINER}"]
        paragraphs.append("\n".join(lines) + "\n")
    return "var/lib/dpkg/status", ("\n".join(paragraphs) + more).encode("utf-8", "surrogatepass")
