"""The model of a site rejects what no target could run, and the demo's site passes."""

from __future__ import annotations

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.secret_values import KEYS
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.settings import (
    read_by_service,
    read_limits,
    read_secrets,
    read_size,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import Site, check_site
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.wordpress_site import (
    SERVICES,
    SiteSettings,
    make_site,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from small_site import DATABASE, SERVER, SITE, image

pytestmark = pytest.mark.once

GIVEN = {"database_password": "one", "database_root_password": "two", "phrase": "p" * 32}


def wordpress(**options) -> Site:
    return make_site(
        SiteSettings(
            name="shop",
            images={service: image(service) for service in SERVICES},
            replicas={"mariadb": 1, "wordpress": 2, "haproxy": 1},
            limits=read_limits({}),
            **options,
        )
    )


def changed(**fields) -> Site:
    return msgspec.structs.replace(SITE, services=(DATABASE, msgspec.structs.replace(SERVER, **fields)))


def test_small_site_is_valid():
    check_site(SITE)


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (msgspec.structs.replace(SITE, name="Shop"), "the name 'Shop' cannot be used in DNS"),
        (msgspec.structs.replace(SITE, services=(SERVER, DATABASE)), "uses 'db', which does not come before it"),
        (msgspec.structs.replace(SITE, services=(DATABASE, DATABASE)), "'db' occurs twice"),
        (msgspec.structs.replace(SITE, volumes=()), "mounts the volume 'data', which the site does not have"),
        (changed(uid=0), "would run as root"),
        (changed(replicas=0), "has 0 replicas"),
        (changed(exclusive=True), "only one may use its data at a time"),
        (changed(most_replicas=1), "at most 1 replicas, but begins with 2"),
        (changed(scratch={"/srv/files": 1}), "mounts /srv/files twice"),
    ],
)
def test_wrong_sites_are_rejected(site, message):
    with pytest.raises(ChainError, match=r"site '[Ss]hop': ") as error:
        check_site(site)
    assert message in str(error.value)


def test_wordpress_is_a_valid_site_whose_secrets_are_known():
    site = wordpress()
    check_site(site)
    assert [service.name for service in site.services] == list(SERVICES)
    assert set(site.secret_keys) == set(read_secrets(GIVEN).values)


def test_only_the_proxy_is_published():
    assert [service.name for service in wordpress().services if service.published] == ["haproxy"]


def test_nothing_in_an_environment_is_a_secret():
    for service in wordpress().services:
        named = {name for name in service.environment_with_secrets if name.endswith("_FILE")}
        assert named == {f"{secret.variable}_FILE" for secret in service.secrets}
        assert not any("PASSWORD" in name for name in service.environment)


def test_uploads_are_the_only_folder_of_wordpress_that_outlives_a_container():
    application = wordpress().service("wordpress")
    assert [mount.path for mount in application.volumes] == ["/var/www/html/wp-content/uploads"]


def test_all_keys_are_different_and_the_same_for_all_replicas():
    keys = {key: value for key, value in read_secrets(GIVEN).values.items() if key in KEYS}
    assert len(set(keys.values())) == 8
    assert keys == {key: value for key, value in read_secrets(GIVEN).values.items() if key in KEYS}


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ({}, "no value for database_password, database_root_password, phrase"),
        ({**GIVEN, "phrase": "short secret"}, "phrase has 12 characters"),
        ({**GIVEN, "database_password": "very secret\n"}, "database_password ends or begins with a line feed"),
        ({**GIVEN, "passwort": "very secret"}, "unknown keys passwort"),
    ],
)
def test_wrong_secrets_are_rejected_without_being_shown(secrets, message):
    with pytest.raises(ChainError) as error:
        read_secrets(secrets)
    assert message in str(error.value)
    assert "secret\n" not in str(error.value)
    assert "very secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), (5, 5), ("10k", 10_000), ("512Mi", 512 << 20), ("2 G", 2 * 10**9)]
)
def test_sizes_are_read(text, size):
    assert read_size("deploy_data.size", text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "10 gigabytes", "1.5G", None, "10m"])
def test_other_sizes_are_rejected(text):
    with pytest.raises(ChainError, match=r"deploy_data.size is .*; expected a size"):
        read_size("deploy_data.size", text)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"nginx": {}}, "unknown keys nginx"),
        ({"haproxy": {"cpu": 1}}, "deploy_limits.haproxy has the unknown keys cpu"),
        ({"haproxy": {"cpus": 0}}, "numbers above 0"),
        ({"haproxy": {"cpus": "inf"}}, "numbers above 0"),
        ({"haproxy": {"memory": "much"}}, "deploy_limits.haproxy.memory is 'much'"),
    ],
)
def test_wrong_limits_are_rejected(limits, message):
    with pytest.raises(ChainError, match=message):
        read_limits(limits)


def test_an_image_is_required_for_each_service():
    with pytest.raises(ChainError, match="deploy_images has nothing for wordpress, haproxy"):
        read_by_service("deploy_images", {"mariadb": "mariadb:latest"}, {})
