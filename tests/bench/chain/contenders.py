"""The contenders with Dockerfiles, and the bare script: each builds the same tiers, from the same base."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

from engines.roots import UnavailableError
from unpacked_package import unpack

from . import twins
from .commands import BuildError, in_order, run

#: The images of this bench have names in this repository, and nothing else has.
REPOSITORY = "tierwright-bench-chain"
#: The base without its labels. Otherwise, Tierwright would take the images of the others for its own.
BASE_IMAGE = f"{REPOSITORY}/plain:latest"
#: A line of `docker buildx du` about a record.
_RECORD = re.compile(r"[0-9a-z]{25}\*?\s")


class Contender(ABC):
    """Builds the chain in one way."""

    #: As in the tables.
    name: str
    #: How it gets its packages.
    packages: str
    #: Whether it keeps downloaded packages for later builds, and whether it has them already.
    keeps_packages = False
    has_packages = False

    def __init__(self, parents: dict[str, str], folder: Path) -> None:
        """Prepare nothing yet.

        Args:
            parents: Each tier and its parent, parents first.
            folder: A new folder for its files.
        """
        self.parents = parents
        self.folder = folder
        self._replaced: list[str] = []

    def missing(self) -> str:
        """Why it cannot run here; empty if it can. Programs are fetched, which is not measured."""
        return ""

    @abstractmethod
    def prepare(self) -> None:
        """Write its files."""

    @abstractmethod
    def edit(self, tier: str, line: str) -> None:
        """Add a line to a file of a tier."""

    @abstractmethod
    def build(self, *, cold: bool) -> None:
        """Build all tiers; this is what the bench measures.

        Args:
            cold: Whether nothing that was built before may be used, except the base and downloaded packages.

        Raises:
            BuildError: It failed.
        """

    @abstractmethod
    def forget(self) -> None:
        """Remove the images of all tiers."""

    def drop_packages(self) -> None:  # noqa: B027 - only those that keep packages have something to do
        """Put all downloaded packages away, if it keeps them."""

    def image(self, tier: str) -> str:
        """The name of an image on the engine."""
        return f"{REPOSITORY}/{self.name}-{tier}:latest"

    def export(self, tier: str) -> None:
        """Bring an image to the engine, if it is elsewhere, to compare its content."""
        _ = tier

    def version(self) -> str:
        """What runs, and its version."""
        return run(["docker", "version", "--format", "Docker {{.Server.Version}}"]).strip()

    def note_replaced(self) -> None:
        """Note the images whose names the next build moves, so that they can be removed."""
        names = [self.image(tier) for tier in reversed(self.parents)]
        words = [["docker", "images", "--quiet", "--no-trunc", name] for name in names]
        found = [subprocess.run(word, check=True, capture_output=True, text=True).stdout.split() for word in words]
        # Children first, and the newest first: an image with a child cannot be removed.
        self._replaced = [image for images in found for image in images] + self._replaced

    def remove_own_images(self) -> None:
        """Remove the images of all tiers, and those that they replaced."""
        remove_images([*(self.image(tier) for tier in reversed(self.parents)), *self._replaced])
        self._replaced.clear()

    def prepare_again(self) -> None:
        """Undo all edits."""
        shutil.rmtree(self.folder)
        self.prepare()

    def close(self) -> None:
        """Remove everything that it made."""
        self.forget()


class Dockerfiles(Contender):
    """Builds from Dockerfiles."""

    def prepare(self) -> None:
        for tier in self.parents:
            twins.write_context(tier, self._context(tier))
            dockerfile = self._context(tier) / "Dockerfile"
            dockerfile.write_text(self.dockerfile(tier, dockerfile.read_text()))

    def dockerfile(self, tier: str, text: str) -> str:
        """The Dockerfile of a tier for this builder."""
        _ = tier
        return twins.with_clean_up(text)

    def edit(self, tier: str, line: str) -> None:
        twins.edit(self._context(tier), tier, line)

    def build(self, *, cold: bool) -> None:
        in_order(self.parents, lambda tier: self.build_tier(tier, cold=cold))

    @abstractmethod
    def build_tier(self, tier: str, *, cold: bool) -> None:
        """Build one tier; its parent is ready."""

    def forget(self) -> None:
        self.remove_own_images()

    def _context(self, tier: str) -> Path:
        return self.folder / tier

    def _parent(self, tier: str) -> str:
        parent = self.parents[tier]
        return self.image(parent) if parent in self.parents else BASE_IMAGE


class Classic(Dockerfiles):
    """The builder that the engine had before BuildKit."""

    name = "classic"
    packages = "downloads them each time; it has no cache of packages"

    def build_tier(self, tier: str, *, cold: bool) -> None:
        _ = cold  # the cache of this builder is images, and all of them were removed
        parent = f"PARENT={self._parent(tier)}"
        words = ["docker", "build", "--quiet", "--build-arg", parent, "--tag", self.image(tier), "."]
        run(words, cwd=self._context(tier), env={"DOCKER_BUILDKIT": "0"})


class BuildKit(Dockerfiles):
    """BuildKit in the engine, with the plugin ``buildx`` of the client."""

    name = "buildkit"
    packages = "keeps them in cache mounts, one for each tier"
    keeps_packages = True

    def missing(self) -> str:
        plugin = next((path for path in _plugins() if path.exists()), None)
        if plugin is None:
            try:
                plugin = unpack("trixie", "docker-buildx") / "usr/libexec/docker/cli-plugins/docker-buildx"
            except UnavailableError as error:
                return str(error)
        config = self.folder.with_name("docker-config")
        (config / "cli-plugins").mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (config / "cli-plugins/docker-buildx").symlink_to(plugin)
        self._environment = {"DOCKER_CONFIG": str(config)}
        self._generation = secrets.token_hex(4)
        try:
            self._before = self._records()
        except BuildError as error:
            return str(error)
        return ""

    def version(self) -> str:
        words = run(["docker", "buildx", "version"], env=self._environment).split()
        return f"BuildKit of {super().version()}, buildx {words[1]}"

    def dockerfile(self, tier: str, text: str) -> str:
        return twins.with_cache_mounts(text, f"{REPOSITORY}-{tier}-{self._generation}")

    def drop_packages(self) -> None:
        self._generation = secrets.token_hex(4)
        self.prepare_again()

    def close(self) -> None:
        """Remove the images, and what BuildKit has cached since the start."""
        self.forget()
        left: set[str] = set()
        while (records := self._records() - self._before) and records != left:
            left = records  # a record that others need can be removed after them
            for record in records:
                with contextlib.suppress(BuildError):
                    run(["docker", "builder", "prune", "--force", "--filter", f"id={record}"], env=self._environment)

    def _records(self) -> set[str]:
        lines = run(["docker", "buildx", "du"], env=self._environment).splitlines()
        return {line.split()[0].rstrip("*") for line in lines if _RECORD.match(line)}

    def build_tier(self, tier: str, *, cold: bool) -> None:
        options = ["--no-cache"] if cold else []
        parent = f"PARENT={self._parent(tier)}"
        words = ["docker", "buildx", "build", "--progress", "plain", "--load", *options, "--build-arg", parent]
        run([*words, "--tag", self.image(tier), "."], cwd=self._context(tier), env=self._environment)


class Bare(Contender):
    """One container for each tier: its files are copied in, one script runs in it, and it is committed."""

    name = "script"
    packages = "keeps them in folders of the machine, which are mounted into the containers"
    keeps_packages = True

    def prepare(self) -> None:
        for tier in self.parents:
            context = self.folder / tier / "twin-context"
            context.parent.mkdir(parents=True)
            twins.write_context(tier, context)
            self._make_folders(tier)

    def drop_packages(self) -> None:
        shutil.rmtree(self._packages, ignore_errors=True)
        for tier in self.parents:
            self._make_folders(tier)

    def _make_folders(self, tier: str) -> None:
        for name in ("archives/partial", "lists/partial"):
            (self._packages / tier / name).mkdir(parents=True, exist_ok=True)

    def edit(self, tier: str, line: str) -> None:
        twins.edit(self.folder / tier / "twin-context", tier, line)

    def build(self, *, cold: bool) -> None:
        _ = cold  # a script remembers nothing
        in_order(self.parents, self._build_tier)

    def _build_tier(self, tier: str) -> None:
        context = self.folder / tier / "twin-context"
        text = twins.with_kept_downloads((context / "Dockerfile").read_text())
        script, settings, signal = twins.bare_script(text, "/tmp/twin-context")
        parent = self.parents[tier]
        image = self.image(parent) if parent in self.parents else BASE_IMAGE
        cache = self._packages / tier
        mounts = [f"{cache}/archives:/var/cache/apt/archives", f"{cache}/lists:/var/lib/apt/lists"]
        options = [*(f"--volume={mount}" for mount in mounts), *([f"--stop-signal={signal}"] if signal else [])]
        start = ["docker", "run", "--detach", "--init", "--user=0", "--entrypoint=", *options, image, "sleep", "3600"]
        settings = [*_inherited(image), *settings]
        container = run(start).split()[-1]
        try:
            run(["docker", "cp", str(context), f"{container}:/tmp/"])
            execute = ["docker", "exec", "--interactive", "--user=0", "--env=DEBIAN_FRONTEND=noninteractive"]
            run([*execute, container, "sh", "-s"], text=f"{script}rm -rf /tmp/twin-context\n")
            changes = [word for setting in settings for word in ("--change", setting)]
            run(["docker", "commit", "--pause=false", *changes, container, self.image(tier)])
        finally:
            run(["docker", "rm", "--force", "--volumes", container])

    def forget(self) -> None:
        self.remove_own_images()

    @property
    def _packages(self) -> Path:
        return self.folder.with_name("packages")


def _inherited(image: str) -> list[str]:
    """What an image starts. ``docker commit`` would keep what the container runs instead."""
    words = ["docker", "image", "inspect", "--format", "{{json .Config}}", image]
    config = json.loads(run(words))
    return [f"{name.upper()} {json.dumps(config.get(name) or [])}" for name in ("Entrypoint", "Cmd")]


def remove_images(names: list[str]) -> None:
    """Remove images by name, if they exist."""
    for name in names:
        subprocess.run(["docker", "rmi", "--force", name], check=False, capture_output=True)


def _plugins() -> list[Path]:
    """Where the client looks for its plugin ``buildx``."""
    folders = ("libexec/docker", "lib/docker")
    home = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    system = [Path(prefix, folder, "cli-plugins") for prefix in ("/usr", "/usr/local") for folder in folders]
    return [folder / "docker-buildx" for folder in (home / "cli-plugins", *system)]
