# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database itself."""

from __future__ import annotations

import re

import pytest


def generated_password(database) -> str:
    told = re.search(r"GENERATED ROOT PASSWORD: (\S+)", database.logs())
    assert told, "the log does not tell the password that was generated for root"
    return told[1]


def test_its_user_can_use_its_database(database, query):
    made = query(database, "CREATE TABLE shop.t (name TEXT); INSERT INTO shop.t VALUES ('ä'); SELECT name FROM shop.t")
    assert (made.rc, made.stdout.strip()) == (0, "ä"), made.stderr


def test_its_user_can_use_nothing_else(database, query):
    assert query(database, "SHOW DATABASES").stdout.split() == ["information_schema", "shop"]
    assert "denied" in query(database, "CREATE DATABASE another").stderr


@pytest.mark.parametrize("user", ["keeper", "root", ""])
def test_nobody_enters_without_the_right_password(database, query, user):
    answer = query(database, "SELECT 1", user=user, password="wrong")
    assert answer.rc != 0
    assert "denied" in answer.stderr


def test_the_generated_password_is_roots(database, query):
    password = generated_password(database)
    answer = query(database, "SELECT CURRENT_USER()", user="root", password=password)
    assert answer.stdout.startswith("root@"), answer.stderr


def test_text_is_unicode(database, query):
    asked = query(database, "SELECT @@character_set_server, @@collation_server")
    assert asked.stdout.split() == ["utf8mb4", "utf8mb4_general_ci"]


def test_the_server_is_process_1_and_keeps_no_password(database):
    assert database.host.check_output("cat /proc/1/comm") == "mariadbd"
    assert "PASSWORD" not in database.host.check_output("tr '\\0' '\\n' </proc/1/environ")


def test_everything_belongs_to_the_user_of_the_server(database, image):
    assert database.host.check_output("find /var/lib/mysql -printf '%U\\n' | sort -u") == image.config["User"]


def test_any_user_of_group_0_can_run_it_and_stop_it(start, environment, query):
    started = start(user="12345:0", env=environment)
    started.wait_healthy(timeout=50)
    assert query(started, "SELECT 1").stdout.strip() == "1"
    stopped = started.stop(timeout=30)
    assert stopped.seconds < 10
    assert stopped.exit_code == 0


def test_the_generated_password_satisfies_the_servers_own_checks(busy_database):
    password = generated_password(busy_database)
    for what, pattern in {"digit": "[0-9]", "small": "[a-z]", "capital": "[A-Z]", "other": "[^0-9A-Za-z]"}.items():
        assert re.search(pattern, password), f"the generated password has no {what} character"


def test_a_time_zone_by_name_hinders_nothing(busy_database, query):
    asked = query(busy_database, "SELECT @@time_zone", password=busy_database.secret)
    assert asked.stdout.strip() == "Europe/Berlin", asked.stderr


def test_accounts_come_from_where_they_were_asked_to(busy_database):
    asked = _as_root(busy_database, "SELECT User, Host FROM mysql.global_priv WHERE User <> 'mariadb.sys'")
    expected = {
        ("root", "localhost"), ("keeper", "127.0.0.%"), ("copier", "%"), ("mysql", "localhost"),
        ("healthcheck", "localhost"), ("healthcheck", "127.0.0.1"), ("healthcheck", "::1"),
    }  # fmt: skip
    assert {tuple(line.split("\t")) for line in asked.splitlines()} == expected


def test_scripts_of_both_kinds_find_both_names_of_a_setting(busy_database):
    told = dict(line.split("\t") for line in _as_root(busy_database, "SELECT name, value FROM shop.told").splitlines())
    password = generated_password(busy_database)
    assert told == {
        "MYSQL_DATABASE": "shop", "MARIADB_DATABASE": "shop", "MYSQL_USER": "keeper", "MARIADB_USER": "keeper",
        "MYSQL_ROOT_HOST": "localhost", "MARIADB_ROOT_HOST": "localhost", "MYSQL_ROOT_PASSWORD": password,
        "sql": "done",
    }  # fmt: skip
    assert "read by" in busy_database.logs()


def test_replicas_can_log_in(busy_database, query):
    asked = query(busy_database, "SHOW GRANTS", user="copier", password="Copies-1")
    assert re.search(r"GRANT REPLICATION (SLAVE|REPLICA) ON", asked.stdout), asked.stderr


def test_the_health_checks_account_has_the_rights_that_were_asked_for(busy_database):
    shown = busy_database.host.check_output(
        "mariadb --defaults-file=/var/lib/mysql/.my-healthcheck.cnf -e 'SHOW GRANTS'"
    )
    assert re.search("SLAVE MONITOR|REPLICA MONITOR", shown), shown


def test_the_log_names_variables_that_mean_nothing(busy_database):
    assert "MARIADB_PASWORD means nothing" in busy_database.logs()
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
        ("MARIADB_ROOT_PASSWORD=x MARIADB_MASTER_HOST=primary", "makes this a replica"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_REPLICATION_USER=a", "MARIADB_REPLICATION_USER is set without"),
        ("MARIADB_ROOT_PASSWORD=x MARIADB_HEALTHCHECK_GRANTS='ALL ON *.*; DROP'", "expected privileges"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(host, settings, message):
    said = host.run(f"{settings} docker-entrypoint.sh mariadbd")
    assert said.rc == 1, said.stdout
    assert message in said.stderr
    assert host.check_output("find /var/lib/mysql -mindepth 1") == ""


def test_hashes_are_as_good_as_passwords(start, query):
    jane = "*0FD9A3F0F816D076CF239580A68A1147C250EB7B"
    settings = {f"MARIADB_{name}PASSWORD_HASH": jane for name in ("ROOT_", "", "REPLICATION_")}
    names = {"MARIADB_USER": "keeper", "MARIADB_REPLICATION_USER": "copier", "MARIADB_INITDB_SKIP_TZINFO": "1"}
    started = start(env={**settings, **names})
    started.wait_healthy(timeout=50)
    for user in ("root", "keeper", "copier"):
        asked = query(started, "SELECT CURRENT_USER()", user=user, password="jane")
        assert asked.stdout.startswith(f"{user}@"), asked.stderr
    assert "denied" in query(started, "SELECT 1", user="root", password="").stderr
    assert "denied" in started.host.run("MYSQL_PWD= mariadb --user=root --execute='SELECT 1'").stderr


def test_a_backup_among_the_scripts_is_not_passed_over(start):
    script = "echo x >/docker-entrypoint-initdb.d/data.tar.gz; exec docker-entrypoint.sh mariadbd"
    started = start(user="0", env={"MARIADB_RANDOM_ROOT_PASSWORD": "1"}, command=["bash", "-c", script])
    assert started.wait_ended() == 1
    assert "data.tar.gz looks like a backup" in started.logs()


def test_a_password_that_the_server_refuses_is_not_in_the_log(start):
    environment = {"MARIADB_RANDOM_ROOT_PASSWORD": "1", "MARIADB_USER": "keeper", "MARIADB_PASSWORD": "feeble"}
    options = ["--plugin-load-add=simple_password_check"]
    started = start(env=environment, command=["mariadbd", *options])
    assert started.wait_ended() == 1
    assert "feeble" not in started.logs()


def test_a_script_that_leaves_the_shell_ends_the_start(start):
    script = "echo exit 0 >/docker-entrypoint-initdb.d/a.sh; exec docker-entrypoint.sh mariadbd"
    environment = {"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD": "1", "MARIADB_INITDB_SKIP_TZINFO": "1"}
    started = start(user="0", env=environment, command=["bash", "-c", script])
    assert started.wait_ended() == 1
    assert "has ended the initialisation" in started.logs()


def _as_root(database, statement: str) -> str:
    client = "MYSQL_PWD=%s mariadb --user=root --batch --skip-column-names --execute=%s"
    printed: str = database.host.check_output(client, generated_password(database), statement)
    return printed
