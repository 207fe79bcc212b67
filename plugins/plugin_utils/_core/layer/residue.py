# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The list of files that builds leave behind and that layers do not contain. This module has only data.

Patterns are paths from the root without the first slash; :mod:`.paths` describes their wildcards. A pattern also covers
everything below a path that it matches. If two rules cover a path, the later rule applies. ``tier_drop`` adds paths to
the list, and ``tier_keep`` removes paths from it.

The rules for Debian cover the measured differences between two builds of the same image. The other rules follow from
the purpose of the files.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Treatment(Enum):
    """How a layer treats a path."""

    #: The path is not in the layer. If the parent has it, the parent's version stays visible.
    DROP = "dropped"
    #: The same, but only for the generated pair of key and certificate that :mod:`.snakeoil` recognises, and for links
    #: to it. A different pair stays.
    DROP_GENERATED = "dropped, and links to it"
    #: The file is in the layer with its owner and mode, but without its content.
    EMPTY = "emptied"
    #: The lines are sorted. Otherwise their order would be that in which packages were configured.
    SORT_LINES = "lines sorted"
    #: The paragraphs, which are separated by empty lines, are sorted.
    SORT_PARAGRAPHS = "paragraphs sorted"


class Rule(msgspec.Struct, frozen=True):
    """The treatment of some paths, with the reason."""

    treatment: Treatment
    why: str
    patterns: tuple[str, ...]
    #: What to do if a file is missed. If it is empty, packages, Ansible or shells leave such files behind in every
    #: build; then messages show only their number.
    advice: str = ""


#: The rules for every distribution.
COMMON = (
    Rule(
        Treatment.DROP,
        "temporary files",
        ("tmp/*", "var/tmp/*"),
        "put files that the image needs elsewhere, or name them in tier_keep",
    ),
    Rule(Treatment.DROP, "PID files", ("run/*.pid", "run/**/*.pid")),
    Rule(
        Treatment.DROP,
        "caches of programs in a home directory",
        ("**/.ansible", "root/.cache", "home/*/.cache"),
        "name files that the image needs in tier_keep",
    ),
    Rule(
        Treatment.DROP,
        "files of Ansible and of shells",
        (
            "**/.ansible/tmp",
            "**/.ansible_async",
            "**/.ansible_tmp*",
            "**/ansible-tmp-[0-9]*.[0-9]*-[0-9]*",
            "**/ansible-moduletmp-[0-9]*",
            "**/.bash_history",
            "**/.python_history",
            "**/.wget-hsts",
            "**/*.[0-9]*.[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]@[0-9][0-9]:[0-9][0-9]:[0-9][0-9]~",
        ),
    ),
    Rule(
        Treatment.DROP,
        "backups and locks of the account files",
        ("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/.pwd.lock"),
    ),
    Rule(
        Treatment.DROP,
        "private keys and random seeds, which two containers must not share",
        (
            "etc/ssh/ssh_host_*_key",
            "etc/ssh/ssh_host_*_key.pub",
            "var/lib/systemd/random-seed",
            "var/lib/systemd/credential.secret",
            "var/lib/urandom/random-seed",
            "root/.gnupg/random_seed",
        ),
        "create them when a container starts (ssh-keygen -A), or name them in tier_keep",
    ),
    Rule(Treatment.EMPTY, "the machine's identity", ("etc/machine-id",)),
    Rule(Treatment.DROP, "copies of the machine's identity", ("var/lib/dbus/machine-id",)),
    Rule(Treatment.DROP, "caches of inode numbers and times", ("var/cache/ldconfig/aux-cache", "var/cache/man/*")),
    Rule(
        Treatment.EMPTY,
        "content of logs",
        ("var/log/*",),
        "put files that the image needs elsewhere, or name them in tier_keep",
    ),
    Rule(
        Treatment.EMPTY,
        "logs of accounts and fonts",
        ("var/log/lastlog", "var/log/faillog", "var/log/tallylog", "var/log/[bw]tmp", "var/log/fontconfig.log"),
    ),
    Rule(Treatment.DROP, "journals", ("var/log/journal/*",)),
)

#: Folders below dropped paths that belong to packages. They stay as empty folders, because ``dpkg --verify`` would
#: report them as missing.
PACKAGE_FOLDERS = frozenset(
    (b"var/cache/apt/archives", b"var/cache/apt/archives/partial", b"var/lib/apt/lists/partial")
)

#: Additional rules for a family of distributions.
BY_FAMILY = {
    "debian": (
        Rule(
            Treatment.DROP,
            "lists, packages and caches of apt",
            ("var/lib/apt/lists/*", "var/lib/apt/periodic/*", "var/lib/apt/daily_lock", "var/cache/apt/*"),
        ),
        Rule(
            Treatment.DROP,
            "backups and locks of dpkg, debconf and ucf",
            (
                "var/lib/dpkg/*-old",
                "var/lib/dpkg/lock*",
                "var/lib/dpkg/triggers/Lock",
                "var/cache/debconf/*-old",
                "var/lib/ucf/hashfile.*",
                "var/lib/ucf/registry.*",
            ),
        ),
        Rule(
            Treatment.DROP,
            "logs of package managers",
            ("var/log/apt/*", "var/log/dpkg.log", "var/log/alternatives.log", "var/log/bootstrap.log"),
        ),
        Rule(
            Treatment.DROP_GENERATED,
            "the certificate that ssl-cert generates",
            ("etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem"),
            "create it when a container starts (make-ssl-cert generate-default-snakeoil), or let the role install a "
            "certificate of its own there",
        ),
        Rule(
            Treatment.SORT_LINES,
            "registers in the order of installation",
            ("var/lib/ucf/hashfile", "var/lib/ucf/registry"),
        ),
        Rule(Treatment.SORT_PARAGRAPHS, "apt's list of automatic packages", ("var/lib/apt/extended_states",)),
    ),
    "redhat": (
        Rule(Treatment.DROP, "metadata and packages", ("var/cache/dnf/*", "var/cache/yum/*", "var/lib/dnf/history.*")),
        Rule(Treatment.DROP, "logs of package managers", ("var/log/dnf*", "var/log/hawkey.log", "var/log/yum.log")),
        Rule(Treatment.DROP, "locks of rpm", ("var/lib/rpm/.rpm.lock", "usr/lib/sysimage/rpm/.rpm.lock")),
    ),
    "alpine": (Rule(Treatment.DROP, "indexes and packages", ("var/cache/apk/*", "lib/apk/db/lock")),),
}
