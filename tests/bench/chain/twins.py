"""The Dockerfiles that do what the roles of the demo chain do, and the folders that they are built in.

They render their configuration themselves, with sed. Files that the roles copy as they are come from the roles.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROLES = ROOT / "roles"
#: The role of each application in the chain that fans out.
APPLICATION = Path(__file__).parent / "application"
TWINS = Path(__file__).parent / "contexts"
BASE = "base"


@dataclass(frozen=True)
class Twin:
    """A tier of the demo chain that has a Dockerfile."""

    #: The tier that it is based on.
    parent: str
    #: Files and folders that are copied from the files of the role.
    files: tuple[str, ...]


#: By name, parents first.
DEMO = {
    "corebuild": Twin(BASE, ("dpkg-nodocs", "no-core-dumps.conf", "remove-setuid.sh")),
    "httpd-php": Twin("corebuild", ("apache2-foreground", "environment.sh", "httpd-php-healthcheck", "php-fpm")),
    "mariadb": Twin("corebuild", ("docker-entrypoint.sh", "entrypoint", "healthcheck.sh")),
    "haproxy": Twin("corebuild", ("check-settings.lua", "haproxy-healthcheck")),
    "wordpress": Twin(
        "httpd-php", ("docker-entrypoint.sh", "htaccess", "wordpress-upgrade-database", "wp-config-docker.php")
    ),
}

_APPLICATIONS = 50
_MIDDLEWARE = ("httpd-php", "mariadb", "haproxy")

#: Each tier and its parent, parents first, by the name of the chain.
CHAINS: dict[str, dict[str, str]] = {
    "demo": {tier: twin.parent for tier, twin in DEMO.items()},
    "fan-out": {
        **{tier: DEMO[tier].parent for tier in ("corebuild", *_MIDDLEWARE)},
        **{
            f"application-{number:02}": _MIDDLEWARE[number % len(_MIDDLEWARE)] for number in range(1, _APPLICATIONS + 1)
        },
    },
}

#: The file that a scenario adds a line to. It has the same name in the role's files and beside the Dockerfile.
EDITED = {"corebuild": "no-core-dumps.conf", "httpd-php": "environment.sh", "wordpress": "docker-entrypoint.sh"}

_APT = re.compile(r"^RUN apt-get update\b", re.MULTILINE)
_INSTALLS = re.compile(r"\bapt-get (?=dist-upgrade|install)")
_INSTRUCTION = re.compile(r"^RUN apt-get update\b(?:.*\\\n)*.*", re.MULTILINE)
#: What apt leaves behind. A cache mount is not in the image, so BuildKit needs no such command.
_CLEANED = " \\\n && apt-get clean && rm -rf /var/lib/apt/lists/*"
_KEEP = "apt-get -o APT::Keep-Downloaded-Packages=true "


def write_context(tier: str, folder: Path) -> None:
    """Write the Dockerfile of a tier, and the files that it copies, into a new folder."""
    if tier not in DEMO:
        shutil.copytree(TWINS / APPLICATION.name, folder)
        shutil.copytree(APPLICATION / "files", folder, dirs_exist_ok=True)
        return
    shutil.copytree(TWINS / tier, folder)
    for name in DEMO[tier].files:
        source = ROLES / role(tier) / "files" / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


def role(tier: str) -> str:
    """The name of the role of a tier."""
    return tier.replace("-", "_") if tier in DEMO else APPLICATION.name


def edit(folder: Path, tier: str, line: str) -> None:
    """Add a comment to the edited file of a tier in a folder."""
    with (folder / EDITED[tier]).open("a") as file:
        file.write(f"# {line}\n")


def with_clean_up(dockerfile: str) -> str:
    """A Dockerfile whose packages are downloaded into the image's layer, and removed in the same instruction."""
    return _INSTRUCTION.sub(lambda match: match[0] + _CLEANED, dockerfile)


def with_cache_mounts(dockerfile: str, cache: str) -> str:
    """A Dockerfile whose packages are downloaded into cache mounts, which later builds use again.

    Args:
        dockerfile: The Dockerfile.
        cache: The name of the caches. Tiers that are built in parallel should have caches of their own, because apt
            locks them.
    """
    mounts = " ".join(
        f"--mount=type=cache,id={cache}-{name},target={path},sharing=locked"
        for name, path in (("archives", "/var/cache/apt"), ("lists", "/var/lib/apt/lists"))
    )
    return _INSTALLS.sub(_KEEP, _APT.sub(f"RUN {mounts} apt-get update", dockerfile))


def with_kept_downloads(dockerfile: str) -> str:
    """A Dockerfile for a container in which folders of the machine are mounted where apt downloads to."""
    return _INSTALLS.sub(_KEEP, dockerfile)


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the rest of each instruction."""
    lines = [line for line in dockerfile.splitlines() if not line.startswith("#")]
    for instruction in re.split(r"(?<!\\)\n", "\n".join(lines)):
        if instruction.strip():
            name, _, rest = instruction.partition(" ")
            yield name, rest


def bare_script(dockerfile: str, context: str) -> tuple[str, list[str], str]:
    """What a person would type without a builder.

    Args:
        dockerfile: The Dockerfile.
        context: The folder in the container with the files beside the Dockerfile.

    Returns:
        A shell script for the inside of one container; the settings of the image, for ``docker commit --change``; the
        signal that stops the container, or nothing.
    """
    script, settings, signal = ["set -eu"], [], ""
    for name, rest in instructions(dockerfile):
        if name == "RUN":
            script.append(f"({rest})")
        elif name == "COPY":
            script.append(_copy(shlex.split(rest), context))
        elif name == "ENV":  # later instructions see it, and so does the image
            words = shlex.split(rest.replace("\\\n", ""))
            script.append(f"export {shlex.join(words)}")
            settings.append(f"ENV {rest}".replace("\\\n", ""))
        elif name == "STOPSIGNAL":
            signal = rest
        elif name not in {"ARG", "FROM"}:
            settings.append(f"{name} {rest.replace(chr(92) + chr(10), '')}")
    return "\n".join(script) + "\n", _last_user(settings), signal


def _copy(words: list[str], context: str) -> str:
    *sources, target = words
    quoted = " ".join(shlex.quote(f"{context}/{source}") for source in sources)
    if target.endswith("/"):
        return f"mkdir -p {target} && cp -R {quoted} {target}"
    return f"if [ -d {quoted} ]; then mkdir -p {target} && cp -R {quoted}/. {target}; else cp {quoted} {target}; fi"


def _last_user(settings: list[str]) -> list[str]:
    """The settings with the last user only: the engine applies them to the finished image."""
    users = [setting for setting in settings if setting.startswith("USER ")]
    return [setting for setting in settings if setting not in users[:-1]]
