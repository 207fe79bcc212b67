# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build leaves behind that nobody asked for: the whole list, and nothing but data.

Patterns are paths from the root without their first slash. ``*`` and ``?`` stand for what has no slash in it, ``**``
for anything; a pattern also covers all that is below what it names. Of two rules for one path the later one counts.
``tier_drop`` adds to the list and ``tier_keep`` takes away from it.

What differs between two identical builds of a Debian image was measured; the rest follows from what a file is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Treatment(Enum):
    """What becomes of a path."""

    #: It is not in the layer; where the parent has it, the parent's shows through.
    DROP = "dropped"
    #: The same for a pair of key and certificate that :mod:`.snakeoil` knows, and for links to it; others stay.
    DROP_MADE_UP = "dropped, and links to it"
    #: The file is there, with its owner and mode, and nothing is in it.
    EMPTY = "emptied"
    #: The lines are sorted: their order is the order of packages being configured.
    SORT_LINES = "lines sorted"
    #: The paragraphs, which empty lines divide, are sorted.
    SORT_PARAGRAPHS = "paragraphs sorted"


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of some paths, and why."""

    treatment: Treatment
    why: str
    patterns: tuple[str, ...]
    #: What to do where it is missed. Where this is empty, packages, Ansible or shells leave it behind in any build, so
    #: that it is counted and not named.
    advice: str = ""


#: The list for every distribution.
COMMON = (
    Rule(
        Treatment.DROP,
        "temporary files",
        ("tmp/*", "var/tmp/*"),
        "put what the image needs elsewhere, or name it in tier_keep",
    ),
    Rule(Treatment.DROP, "numbers of processes", ("run/*.pid", "run/**/*.pid")),
    Rule(
        Treatment.DROP,
        "what programs keep in a home",
        ("**/.ansible", "root/.cache", "home/*/.cache"),
        "name what the image needs in tier_keep",
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
        "private keys and random seeds, which no two containers may share",
        (
            "etc/ssh/ssh_host_*_key",
            "etc/ssh/ssh_host_*_key.pub",
            "var/lib/systemd/random-seed",
            "var/lib/systemd/credential.secret",
            "var/lib/urandom/random-seed",
            "root/.gnupg/random_seed",
        ),
        "let them be made when a container starts (ssh-keygen -A), or name them in tier_keep",
    ),
    Rule(Treatment.EMPTY, "the machine's identity", ("etc/machine-id",)),
    Rule(Treatment.DROP, "copies of the machine's identity", ("var/lib/dbus/machine-id",)),
    Rule(Treatment.DROP, "caches of inode numbers and times", ("var/cache/ldconfig/aux-cache", "var/cache/man/*")),
    Rule(
        Treatment.EMPTY,
        "content of logs",
        ("var/log/*",),
        "put what the image needs elsewhere, or name it in tier_keep",
    ),
    Rule(
        Treatment.EMPTY,
        "logs of accounts and fonts",
        ("var/log/lastlog", "var/log/faillog", "var/log/tallylog", "var/log/[bw]tmp", "var/log/fontconfig.log"),
    ),
    Rule(Treatment.DROP, "journals", ("var/log/journal/*",)),
)

#: Folders that packages own below what is dropped. They stay, empty: ``dpkg --verify`` would miss them.
PACKAGE_FOLDERS = frozenset(
    (b"var/cache/apt/archives", b"var/cache/apt/archives/partial", b"var/lib/apt/lists/partial")
)

#: What is added for a family of distributions.
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
            Treatment.DROP_MADE_UP,
            "the certificate that ssl-cert makes up",
            ("etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem"),
            "let it be made when a container starts (make-ssl-cert generate-default-snakeoil), or let the role put a "
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
