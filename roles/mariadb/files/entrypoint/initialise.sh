# Creates the database of an empty volume.
#
# All work happens in <datadir>/.initialising, whose content moves up only when it is complete:
# the directory of system tables last, since its presence means "initialised". A container
# killed at any moment leaves either nothing, or a complete stage that the next start adopts.
# shellcheck shell=bash disable=SC2154,SC2034  # data_directory, socket, root_password: see server.sh

stage_directory() {
    printf '%s/.initialising' "$data_directory"
}

is_initialised() {
    [ -d "$data_directory/mysql" ] || [ -e "$(stage_directory)/.complete" ]
}

initialise() {
    local stage
    stage=$(stage_directory)
    refuse_foreign_files
    if [ -d "$stage" ]; then
        note "an earlier initialisation was interrupted: starting it afresh"
        rm -rf "$stage"
    fi
    note "initialising $data_directory"
    create_system_tables "$stage" "$@"
    # The usual socket, because scripts call the client without naming one.
    start_private_server "$stage" "$socket" "$@"
    set_up_accounts
    add_healthcheck_account "$stage"
    load_time_zones
    run_initdb_scripts
    stop_private_server
    sync --file-system "$stage"
    touch "$stage/.complete"
    finish_interrupted_adoption
    note "initialised $data_directory"
}

# Such files without system tables are the remains of a database; a new one on top would hide that.
refuse_foreign_files() {
    local file
    for file in ibdata1 aria_log_control; do
        [ ! -e "$data_directory/$file" ] || die "$data_directory has $file but no directory mysql:" \
            "the remains of another database. Restore it, or empty the volume to begin anew."
    done
}

create_system_tables() {
    local stage=$1 log
    shift
    mkdir -m 0700 "$stage"
    log=$(mariadb-install-db "$@" --datadir="$stage" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal 2>&1) ||
        die "mariadb-install-db failed:"$'\n'"$log"
}

finish_interrupted_adoption() {
    local stage entry
    stage=$(stage_directory)
    if [ -e "$stage/.complete" ]; then
        while IFS= read -r -d '' entry; do
            mv -f "$entry" "$data_directory/"
        done < <(find "$stage" -mindepth 1 -maxdepth 1 ! -name mysql ! -name .complete -print0)
        [ ! -d "$stage/mysql" ] || mv "$stage/mysql" "$data_directory/"
    fi
    [ ! -d "$data_directory/mysql" ] || rm -rf "$stage"
}

set_up_accounts() {
    local new_root_password
    if [ -n "${MARIADB_RANDOM_ROOT_PASSWORD:-}" ]; then
        MARIADB_ROOT_PASSWORD=$(random_password)
        export MARIADB_ROOT_PASSWORD
        note "GENERATED ROOT PASSWORD: $MARIADB_ROOT_PASSWORD"
    fi
    new_root_password=${MARIADB_ROOT_PASSWORD:-}
    account_statements "$new_root_password" |
        root_client --binary-mode --default-character-set=utf8mb4
    root_password=$new_root_password
}

# The first statement makes a backslash mean the same whatever the configuration says.
account_statements() {
    local password root_host=${MARIADB_ROOT_HOST:-%} database
    password=$(sql_string "$1")
    cat <<SQL
SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION sql_log_bin = 0;
DELETE FROM mysql.global_priv WHERE Host <> 'localhost' OR User NOT IN ('root', 'mariadb.sys');
DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY $password;
SQL
    if [ "$root_host" != localhost ]; then
        root_host=$(sql_string "$root_host")
        cat <<SQL
CREATE USER root@$root_host IDENTIFIED BY $password;
GRANT ALL ON *.* TO root@$root_host WITH GRANT OPTION;
GRANT PROXY ON ''@'%' TO root@$root_host WITH GRANT OPTION;
SQL
    fi
    if [ -n "${MARIADB_DATABASE:-}" ]; then
        printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$(sql_name "$MARIADB_DATABASE")"
    fi
    if [ -n "${MARIADB_USER:-}" ]; then
        printf "CREATE USER %s@'%%' IDENTIFIED BY %s;\n" \
            "$(sql_string "$MARIADB_USER")" "$(sql_string "$MARIADB_PASSWORD")"
    fi
    if [ -n "${MARIADB_USER:-}" ] && [ -n "${MARIADB_DATABASE:-}" ]; then
        # In a grant, _ and % are wildcards.
        database=${MARIADB_DATABASE//_/\\_}
        printf "GRANT ALL ON %s.* TO %s@'%%';\n" \
            "$(sql_name "${database//%/\\%}")" "$(sql_string "$MARIADB_USER")"
    fi
}

load_time_zones() {
    [ -z "${MARIADB_INITDB_SKIP_TZINFO:-}" ] || return 0
    mariadb-tzinfo-to-sql --skip-write-binlog /usr/share/zoneinfo |
        root_client --database=mysql
}

run_initdb_scripts() {
    local file
    while IFS= read -r -d '' file; do
        case $file in
            *.sh) run_shell_script "$file" ;;
            *.sql) run_sql_script "$file" cat ;;
            *.sql.gz) run_sql_script "$file" gzip -dc ;;
            *.sql.xz) run_sql_script "$file" xz -dc ;;
            *.sql.zst) run_sql_script "$file" zstd -dc ;;
            *) note "ignoring $file: not .sh, .sql, .sql.gz, .sql.xz or .sql.zst" ;;
        esac
    done < <(find -L /docker-entrypoint-initdb.d -mindepth 1 -maxdepth 1 -type f -print0 2>/dev/null |
        LC_ALL=C sort -z)
}

# Like the official image: an executable script is run, any other is read into this shell.
run_shell_script() {
    note "running $1"
    if [ -x "$1" ]; then
        "$1" </dev/null
    else
        # shellcheck source=/dev/null
        . "$1" </dev/null
    fi
}

run_sql_script() {
    local file=$1
    shift
    note "running $file"
    command -v "$1" >/dev/null || die "$file needs the program $1, which this image lacks."
    "$@" <"$file" | docker_process_sql
}
