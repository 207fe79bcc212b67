"""Parents made by other tools: their environment must not disturb a build, and those that cannot run are rejected."""

from __future__ import annotations

import io
import tarfile

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import system
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SourceError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import configuration, platform
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import runtime_config
from fake_engine import FakeEngine

STANDARD = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PARENT = Image("sha256:id", {}, ("sha256:aa",), {}, (), 1, "amd64", "linux")


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONINSPECT",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "GLIBC_TUNABLES",
        "GCONV_PATH",
        "BASH_ENV",
        "BASH_FUNC_ls%%",
        "ENV",
        "IFS",
        "SHELLOPTS",
        "PERL5OPT",
        "TMPDIR",
        "APT_CONFIG",
        "DPKG_ROOT",
        "ANSIBLE_ASYNC_DIR",
        "OPENSSL_CONF",
    ],
)
def test_a_variable_that_affects_program_start_is_only_in_the_image(name):
    environment = [f"{name}=/x", "MODE=a=b", "http_proxy=http://p:1"]
    assert configuration.for_build(environment) == environment[1:]
    assert configuration.left_out_variables(environment) == [name]
    assert runtime_config({"Env": environment}, {}, {})["Env"] == environment


def test_other_variables_are_kept_in_the_build():
    environment = ["HOME=/x", "JAVA_HOME=/opt/java", "LANG=C.UTF-8", "LC_ALL=C", "TZ=UTC", "ENVIRONMENT=x", "EMPTY="]
    assert configuration.for_build(environment) == environment
    assert configuration.left_out_variables(environment) == []


@pytest.mark.parametrize(
    ("parent_path", "build_path"),
    [
        ("", STANDARD),
        (STANDARD, STANDARD),
        ("/opt/x", "/opt/x:" + STANDARD),
        ("/opt/x:$PATH", "/opt/x:$PATH:" + STANDARD),
        ("/bin::/opt/y", "/bin:/opt/y:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin"),
    ],
)
def test_path_in_the_build_contains_the_standard_folders(parent_path, build_path):
    assert configuration.for_build([f"PATH={parent_path}"]) == [f"PATH={build_path}"]


def engine(machine):
    fake = FakeEngine()
    fake.system.machine = ("linux", machine)
    return fake


@pytest.mark.parametrize(
    ("machine", "image", "accepted"),
    [
        ("amd64", "linux/amd64", True),
        ("amd64", "linux/386", True),
        ("amd64", "linux/arm64", False),
        ("amd64", "windows/amd64", False),
        ("arm64", "linux/arm", True),
        ("arm64", "linux/amd64", False),
        ("s390x", "linux/s390x", True),
    ],
)
def test_an_image_for_an_incompatible_platform_is_rejected(machine, image, accepted):
    os, architecture = image.split("/")
    parent = msgspec.structs.replace(PARENT, os=os, architecture=architecture)

    def check():
        platform.check(engine(machine), "base", "x@sha256:1", parent)

    if accepted:
        check()
    else:
        message = rf"tier 'base': x@sha256:1 is for {image}, and the engine runs linux/{machine}; expected"
        with pytest.raises(SourceError, match=message):
            check()


@pytest.mark.parametrize(
    ("program", "rejected_architecture"),
    [
        (b"\x7fELF\2\1" + bytes(12) + b"\x3e\0", ""),
        (b"\x7fELF\2\1" + bytes(12) + b"\xb7\0", "arm64"),
        (b"\x7fELF\2\2" + bytes(12) + b"\0\x16", "s390x"),
        (b"\x7fELF\2\1" + bytes(12) + b"\xff\xff", ""),
        (b"\x7fELF", ""),
        (b"#!/bin/sh\n", ""),
    ],
)
def test_an_archive_for_a_different_architecture_is_rejected(tmp_path, program, rejected_architecture):
    archive = tmp_path / "rootfs.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in (("./etc/x", b"\x7fELF\2\1" + bytes(12) + b"\xb7\0"), ("./usr/bin/sh", program)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

    def check():
        platform.check_archive(engine("amd64"), "base", "base.tar", archive)

    if rejected_architecture:
        with pytest.raises(
            SourceError, match=rf"tier 'base': the programs in .* are for {rejected_architecture}, and .* runs amd64"
        ):
            check()
    else:
        check()


@pytest.mark.parametrize(("max_layers", "layers", "accepted"), [(125, 124, True), (125, 125, False), (None, 500, True)])
def test_a_parent_with_the_maximum_number_of_layers_is_rejected(max_layers, layers, accepted):
    fake = engine("amd64")
    fake.system.engine_kind = system.EngineKind(most_layers=max_layers)
    parent = msgspec.structs.replace(PARENT, layers=("sha256:aa",) * layers)
    if accepted:
        platform.check_depth(fake, "web", parent)
    else:
        with pytest.raises(SourceError, match=r"tier 'web': its parent has 125 layers already.*allows 125"):
            platform.check_depth(fake, "web", parent)
