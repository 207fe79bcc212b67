"""A parent that may be anybody's image: its environment keeps nothing from working, and what cannot run is refused."""

from __future__ import annotations

import dataclasses
import io
import tarfile

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
def test_a_variable_that_changes_how_programs_start_is_not_in_the_build_but_in_the_image(name):
    given = [f"{name}=/x", "MODE=a=b", "http_proxy=http://p:1"]
    assert configuration.for_build(given) == given[1:]
    assert configuration.left_out_variables(given) == [name]
    assert runtime_config({"Env": given}, {}, {})["Env"] == given


def test_other_variables_stay():
    given = ["HOME=/x", "JAVA_HOME=/opt/java", "LANG=C.UTF-8", "LC_ALL=C", "TZ=UTC", "ENVIRONMENT=x", "EMPTY="]
    assert configuration.for_build(given) == given
    assert configuration.left_out_variables(given) == []


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("", STANDARD),
        (STANDARD, STANDARD),
        ("/opt/x", "/opt/x:" + STANDARD),
        ("/opt/x:$PATH", "/opt/x:$PATH:" + STANDARD),
        ("/bin::/opt/y", "/bin:/opt/y:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin"),
    ],
)
def test_the_distribution_s_programs_are_found_whatever_path_the_parent_has(said, path):
    assert configuration.for_build([f"PATH={said}"]) == [f"PATH={path}"]


def engine(machine):
    made = FakeEngine()
    made.system.machine = ("linux", machine)
    return made


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
def test_an_image_for_another_machine_is_refused(machine, image, accepted):
    system, architecture = image.split("/")
    parent = dataclasses.replace(PARENT, os=system, architecture=architecture)

    def look():
        platform.check(engine(machine), "base", "x@sha256:1", parent)

    if accepted:
        look()
    else:
        told = rf"tier 'base': x@sha256:1 is for {image}, and the engine runs linux/{machine}; expected"
        with pytest.raises(SourceError, match=told):
            look()


@pytest.mark.parametrize(
    ("program", "refused"),
    [
        (b"\x7fELF\2\1" + bytes(12) + b"\x3e\0", ""),
        (b"\x7fELF\2\1" + bytes(12) + b"\xb7\0", "arm64"),
        (b"\x7fELF\2\2" + bytes(12) + b"\0\x16", "s390x"),
        (b"\x7fELF\2\1" + bytes(12) + b"\xff\xff", ""),
        (b"\x7fELF", ""),
        (b"#!/bin/sh\n", ""),
    ],
)
def test_a_root_file_system_for_another_processor_is_refused(tmp_path, program, refused):
    archive = tmp_path / "rootfs.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in (("./etc/x", b"\x7fELF\2\1" + bytes(12) + b"\xb7\0"), ("./usr/bin/sh", program)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

    def look():
        platform.check_archive(engine("amd64"), "base", "base.tar", archive)

    if refused:
        with pytest.raises(SourceError, match=rf"tier 'base': the programs in .* are for {refused}, and .* runs amd64"):
            look()
    else:
        look()


@pytest.mark.parametrize(("most", "layers", "accepted"), [(125, 124, True), (125, 125, False), (None, 500, True)])
def test_a_parent_that_can_take_no_layer_more_is_refused(most, layers, accepted):
    it = engine("amd64")
    it.system.does = system.EngineKind(most_layers=most)
    parent = dataclasses.replace(PARENT, layers=("sha256:aa",) * layers)
    if accepted:
        platform.check_depth(it, "web", parent)
    else:
        with pytest.raises(SourceError, match=r"tier 'web': its parent has 125 layers already.*allows 125"):
            platform.check_depth(it, "web", parent)
