# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of the database's own image."""

from __future__ import annotations

import re

import pytest


def generated_password(database) -> str:
    match = re.search(r"GENERATED ROOT PASSWORD: (\S+)", database.logs())
    assert match, "the log does not contain the generated password of root"
    return match[1]


def test_user_can_use_its_database(database, query):
    result = query(
        database, "CREATE TABLE shop.t (name TEXT); INSERT INTO shop.t VALUES ('ä'); SELECT name FROM shop.t"
    )
    assert (result.rc, result.stdout.strip()) == (0, "ä"), result.stderr


def test_user_cannot_use_other_databases(database, query):
    assert query(database, "SHOW DATABASES").stdout.split() == ["information_schema", "shop"]
    assert "denied" in query(database, "CREATE DATABASE another").stderr


@pytest.mark.parametrize("user", ["keeper", "root", ""])
def test_login_with_a_wrong_password_is_rejected(database, query, user):
    result = query(database, "SELECT 1", user=user, password="wrong")
    assert result.rc != 0
    assert "denied" in result.stderr


def test_root_can_log_in_with_the_generated_password(database, query):
    password = generated_password(database)
    result = query(database, "SELECT CURRENT_USER()", user="root", password=password)
    assert result.stdout.startswith("root@"), result.stderr


def test_default_character_set_is_unicode(database, query):
    result = query(database, "SELECT @@character_set_server, @@collation_server")
    assert result.stdout.split() == ["utf8mb4", "utf8mb4_general_ci"]


def test_the_server_is_process_1_and_keeps_no_password(database):
    assert database.host.check_output("cat /proc/1/comm") == "mariadbd"
    assert "PASSWORD" not in database.host.check_output("tr '\\0' '\\n' </proc/1/environ")


def test_data_belongs_to_the_user_of_the_image(database, image):
    assert database.host.check_output("find /var/lib/mysql -printf '%U\\n' | sort -u") == image.config["User"]


def test_the_generated_password_satisfies_the_servers_own_checks(busy_database):
    password = generated_password(busy_database)
    for kind, pattern in {"digit": "[0-9]", "small": "[a-z]", "capital": "[A-Z]", "other": "[^0-9A-Za-z]"}.items():
        assert re.search(pattern, password), f"the generated password has no {kind} character"


def test_server_can_start_with_a_named_time_zone(busy_database, query):
    result = query(busy_database, "SELECT @@time_zone", password=busy_database.secret)
    assert result.stdout.strip() == "Europe/Berlin", result.stderr


def test_accounts_have_the_requested_hosts(busy_database):
    result = _as_root(busy_database, "SELECT User, Host FROM mysql.global_priv WHERE User <> 'mariadb.sys'")
    expected = {
        ("root", "localhost"), ("keeper", "127.0.0.%"), ("copier", "%"), ("mysql", "localhost"),
        ("healthcheck", "localhost"), ("healthcheck", "127.0.0.1"), ("healthcheck", "::1"),
    }  # fmt: skip
    assert {tuple(line.split("\t")) for line in result.splitlines()} == expected


def test_scripts_see_settings_under_both_names(busy_database):
    rows = dict(line.split("\t") for line in _as_root(busy_database, "SELECT name, value FROM shop.seen").splitlines())
    password = generated_password(busy_database)
    assert rows == {
        "MYSQL_DATABASE": "shop", "MARIADB_DATABASE": "shop", "MYSQL_USER": "keeper", "MARIADB_USER": "keeper",
        "MYSQL_ROOT_HOST": "localhost", "MARIADB_ROOT_HOST": "localhost", "MYSQL_ROOT_PASSWORD": password,
        "sql": "done",
    }  # fmt: skip
    assert "read by" in busy_database.logs()


def test_replicas_can_log_in(busy_database, query):
    result = query(busy_database, "SHOW GRANTS", user="copier", password="Copies-1")
    assert re.search(r"GRANT REPLICATION (SLAVE|REPLICA) ON", result.stdout), result.stderr


def test_account_of_the_health_check_has_the_requested_privileges(busy_database):
    shown = busy_database.host.check_output(
        "mariadb --defaults-file=/var/lib/mysql/.my-healthcheck.cnf -e 'SHOW GRANTS'"
    )
    assert re.search("SLAVE MONITOR|REPLICA MONITOR", shown), shown


def test_log_names_unknown_variables_without_their_values(busy_database):
    assert "MARIADB_PASWORD is not a setting" in busy_database.logs()
    assert "misspelt" not in busy_database.logs()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("MARIADB_ROOT_PASSWORD=x MARIADB_ROOT_PASSWORD_HASH=y", "keep one of them"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_USER=a", "MARIADB_USER is set without"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_PASSWORD_HASH=y", "MARIADB_PASSWORD_HASH is set without MARIADB_USER"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_USER_HOST=10.%", "MARIADB_USER_HOST is set without MARIADB_USER"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_USER=a MARIADB_PASSWORD=b MARIADB_PASSWORD_HASH=c", "keep one of them"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_PASSWORD_HASH_FILE=/nowhere", "MARIADB_PASSWORD_HASH_FILE names '/nowhere'"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_ROOT_PASSWORD_FILE=/etc/hostname", "both MARIADB_ROOT_PASSWORD and"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_MASTER_HOST=primary", "makes this server a replica"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_REPLICATION_USER=a", "MARIADB_REPLICATION_USER is set without"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_HEALTHCHECK_GRANTS='ALL ON *.*; DROP'", "expected privileges"),
    ],
)
def test_contradicting_settings_are_rejected(host, settings, message):
    result = host.run(f"{settings} docker-entrypoint.sh mariadbd")
    assert result.rc == 1, result.stdout
    assert message in result.stderr
    assert host.check_output("find /var/lib/mysql -mindepth 1") == ""


def test_any_user_of_group_0_can_run_and_stop_a_container_with_passwords_as_hashes(start, query):
    jane = "*0FD9A3F0F816D076CF239580A68A1147C250EB7B"
    settings = {f"MARIADB_{name}PASSWORD_HASH": jane for name in ("ROOT_", "", "REPLICATION_")}
    names = {"MARIADB_USER": "keeper", "MARIADB_REPLICATION_USER": "copier", "MARIADB_INITDB_SKIP_TZINFO": "1"}
    started = start(user="12345:0", env={**settings, **names})
    started.wait_healthy(timeout=50)
    for user in ("root", "keeper", "copier"):
        result = query(started, "SELECT CURRENT_USER()", user=user, password="jane")
        assert result.stdout.startswith(f"{user}@"), result.stderr
    assert "denied" in query(started, "SELECT 1", user="root", password="").stderr
    assert "denied" in started.host.run("MYSQL_PWD= mariadb --user=root --execute='SELECT 1'").stderr
    assert {process.uid for process in started.processes()} == {12345}
    stopped = started.stop(timeout=30)
    assert stopped.seconds < 10
    assert stopped.exit_code == 0


def test_backup_among_the_scripts_is_rejected(start):
    script = "echo x >/docker-entrypoint-initdb.d/data.tar.gz; exec docker-entrypoint.sh mariadbd"
    started = start(user="0", env={"MARIADB_RANDOM_ROOT_PASSWORD": "1"}, command=["bash", "-c", script])
    assert started.wait_ended() == 1
    assert "data.tar.gz looks like a backup" in started.logs()


def test_password_that_the_server_rejects_is_not_logged(start):
    environment = {
        "MARIADB_RANDOM_ROOT_PASSWORD": "1", "MARIADB_USER": "keeper", "MARIADB_PASSWORD": "feeble",
        "MARIADB_INITDB_SKIP_TZINFO": "1",
    }  # fmt: skip
    options = ["--plugin-load-add=simple_password_check"]
    started = start(env=environment, command=["mariadbd", *options])
    assert started.wait_ended() == 1
    assert "feeble" not in started.logs()


def test_script_that_exits_the_shell_is_an_error(start):
    script = "echo exit 0 >/docker-entrypoint-initdb.d/a.sh; exec docker-entrypoint.sh mariadbd"
    environment = {"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD": "1", "MARIADB_INITDB_SKIP_TZINFO": "1"}
    started = start(user="0", env=environment, command=["bash", "-c", script])
    assert started.wait_ended() == 1
    assert "has ended the initialisation" in started.logs()


def _as_root(database, statement: str) -> str:
    client = "MYSQL_PWD=%s mariadb --user=root --batch --skip-column-names --execute=%s"
    printed: str = database.host.check_output(client, generated_password(database), statement)
    return printed
