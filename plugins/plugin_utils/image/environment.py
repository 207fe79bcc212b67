# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a parent's environment a build container has.

The parent may be anybody's image, and its environment reaches each process of a build container: the agent, the shells
and package managers that modules start, the container's own first process. Variables that change how a program is
loaded or how a shell reads its text would keep them from working, or make them run something else. The image keeps
them: this is about the build alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Beginnings of names: interpreters, the loader and the C library, shells, and the tools that a build runs with.
_PREFIXES = (
    "ANSIBLE_",
    "BASH",
    "DEBCONF_",
    "DPKG_",
    "GCONV_",
    "GLIBC_",
    "LD_",
    "MALLOC_",
    "OPENSSL_",
    "PERL",
    "PYTHON",
    "RUBY",
    "TIERWRIGHT_",
    "_PYTHON",
)

_NAMES = frozenset(
    (
        "APT_CONFIG",
        "CDPATH",
        "ENV",
        "GLOBIGNORE",
        "GREP_OPTIONS",
        "GZIP",
        "HOSTALIASES",
        "IFS",
        "LOCALDOMAIN",
        "LOCPATH",
        "NLSPATH",
        "NODE_OPTIONS",
        "POSIXLY_CORRECT",
        "PROMPT_COMMAND",
        "PS4",
        "RESOLV_HOST_CONF",
        "RES_OPTIONS",
        "SHELLOPTS",
        "SSLKEYLOGFILE",
        "TAR_OPTIONS",
        "TEMP",
        "TMP",
        "TMPDIR",
    )
)

#: Where a distribution has its programs.
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def for_build(parent: Iterable[str]) -> list[str]:
    """Give what of a parent's environment a build container has, as ``NAME=value``.

    ``PATH`` has the distribution's own folders, behind the parent's where it lacks them.
    """
    kept = [entry for entry in parent if not _disturbs(entry.partition("=")[0])]
    return [_with_programs(entry) if entry.startswith("PATH=") else entry for entry in kept]


def left_out(parent: Iterable[str]) -> Sequence[str]:
    """Name the variables that a build container does not have, sorted."""
    return sorted(name for name in {entry.partition("=")[0] for entry in parent} if _disturbs(name))


def _disturbs(name: str) -> bool:
    return name in _NAMES or name.startswith(_PREFIXES)


def _with_programs(entry: str) -> str:
    folders = [folder for folder in entry.removeprefix("PATH=").split(":") if folder]
    return "PATH=" + ":".join([*folders, *(folder for folder in _PATH if folder not in folders)])
