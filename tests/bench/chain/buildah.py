"""Builds the chain with ``buildah``."""

from __future__ import annotations

import contextlib
import shutil

from engines.roots import UnavailableError
from unpacked_package import unpack

from .commands import BuildError, run
from .contenders import BASE_IMAGE, Dockerfiles, remove_images


class Buildah(Dockerfiles):
    """``buildah build``, with storage of its own."""

    name = "buildah"
    packages = "downloads them each time into the layer, as in the classic Dockerfiles"

    def missing(self) -> str:
        self._program = shutil.which("buildah") or ""
        if not self._program:
            try:
                self._program = str(unpack("bookworm", "buildah") / "usr/bin/buildah")
            except UnavailableError as error:
                return str(error)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')
        (self.folder / "registries.conf").write_text("")
        try:
            self._buildah("version")
        except BuildError as error:
            return str(error)
        return ""

    def version(self) -> str:
        return self._buildah("--version").strip()

    def prepare_again(self) -> None:
        for tier in self.parents:
            shutil.rmtree(self._context(tier))
        super().prepare()

    def prepare(self) -> None:
        super().prepare()
        archive = self.folder / "base.tar"
        run(["docker", "save", "--output", str(archive), BASE_IMAGE])
        self._buildah("pull", *self._policy(), f"docker-archive:{archive}")
        archive.unlink()

    def build_tier(self, tier: str, *, cold: bool) -> None:
        options = ["--layers", *(["--no-cache"] if cold else []), "--format=docker", "--pull=never"]
        parent = self.parents[tier]
        image = f"localhost/{self.image(parent)}" if parent in self.parents else BASE_IMAGE
        arguments = ["--isolation=chroot", *self._policy(), "--build-arg", f"PARENT={image}"]
        self._buildah("build", *options, *arguments, "--tag", f"localhost/{self.image(tier)}", str(self._context(tier)))

    def forget(self) -> None:
        for tier in reversed(self.parents):
            with contextlib.suppress(BuildError):
                self._buildah("rmi", "--force", f"localhost/{self.image(tier)}")

    def export(self, tier: str) -> None:
        """Bring an image to the engine, to compare its content. This is not measured."""
        archive = self.folder / "image.tar"
        archive.unlink(missing_ok=True)
        name = self.image(tier)
        self._buildah("push", *self._policy(), f"localhost/{name}", f"docker-archive:{archive}:{name}")
        run(["docker", "load", "--input", str(archive)])
        archive.unlink()

    def close(self) -> None:
        # An exported image has both names.
        names = [self.image(tier) for tier in reversed(self.parents)]
        remove_images([*names, *(f"localhost/{name}" for name in names)])
        for words in (["rmi", "--all", "--force"],):
            with contextlib.suppress(BuildError):
                self._buildah(*words)

    def _policy(self) -> list[str]:
        return [f"--signature-policy={self.folder / 'policy.json'}"]

    def _buildah(self, *words: str) -> str:
        storage = [f"--root={self.folder / 'storage'}", f"--runroot={self.folder / 'run'}", "--storage-driver=overlay"]
        conf = f"--registries-conf={self.folder / 'registries.conf'}"
        return run([self._program, *storage, conf, *words])
