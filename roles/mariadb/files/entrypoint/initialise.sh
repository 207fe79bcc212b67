# Creates the database of an empty volume.
#
# All work happens in <datadir>/.initialising. Its content is moved to <datadir> only when it is complete. The
# directory of system tables is moved last, because its existence means "initialised". If a container is killed
# at any moment, the next start either begins again, or finishes moving the complete content.
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
    warn_of_unknown_settings
    refuse_foreign_files
    check_initdb_scripts
    if [ -d "$stage" ]; then
        note "an earlier initialisation was interrupted: starting again"
        rm -rf "$stage"
    fi
    note "initialising $data_directory"
    create_system_tables "$stage" "$@"
    # This is the usual socket, because scripts call the client without the option --socket.
    start_private_server "$stage" "$socket" "$@"
    set_up_accounts
    add_healthcheck_account "$stage"
    load_time_zones
    run_initdb_scripts
    set_root_password_hash
    stop_private_server
    sync --file-system "$stage"
    touch "$stage/.complete"
    finish_interrupted_adoption
    note "initialised $data_directory"
}

# These files without system tables are the remains of a database. A new database over them would hide that.
refuse_foreign_files() {
    local file
    for file in ibdata1 aria_log_control; do
        [ ! -e "$data_directory/$file" ] || die "$data_directory has $file but no directory mysql:" \
            "these are the remains of another database. Restore it, or empty the volume to start again."
    done
}

# mariadb-install-db splits its arguments at white space, so arguments with white space are omitted. The system tables
# do not depend on these.
create_system_tables() {
    local stage=$1 log argument options=()
    shift
    for argument; do
        [[ $argument =~ [[:space:]] ]] || options+=("$argument")
    done
    mkdir -m 0700 "$stage"
    log=$(mariadb-install-db "${options[@]}" --datadir="$stage" --skip-test-db --skip-name-resolve --skip-log-bin \
        --default-time-zone=SYSTEM --loose-wsrep-on=OFF --auth-root-authentication-method=normal 2>&1) ||
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
    if is_set MARIADB_RANDOM_ROOT_PASSWORD; then
        MARIADB_ROOT_PASSWORD=$(random_password)
        export MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD=$MARIADB_ROOT_PASSWORD
        note "GENERATED ROOT PASSWORD: $MARIADB_ROOT_PASSWORD"
    fi
    new_root_password=${MARIADB_ROOT_PASSWORD:-}
    {
        local_statements "$new_root_password"
        replicated_statements
    } | discreet_root_client --binary-mode --default-character-set=utf8mb4
    root_password=$new_root_password
}

# identified NAME: prints the clause IDENTIFIED BY for the account with MARIADB_NAMEPASSWORD or MARIADB_NAMEPASSWORD_HASH.
identified() {
    local password=MARIADB_$1PASSWORD hash=MARIADB_$1PASSWORD_HASH
    if is_set "$hash"; then
        printf 'IDENTIFIED BY PASSWORD %s' "$(sql_string "${!hash}")"
    else
        printf 'IDENTIFIED BY %s' "$(sql_string "${!password:-}")"
    fi
}

# local_statements ROOT_PASSWORD: accounts that are not replicated, because each replica has its own. The first statement
# makes a backslash an escape character, independent of the configuration. set_root_password_hash sets a hash for
# root@localhost later, because scripts must log in before.
local_statements() {
    local root
    cat <<SQL
SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION sql_log_bin = 0;
DELETE FROM mysql.global_priv WHERE Host <> 'localhost' OR User NOT IN ('root', 'mariadb.sys');
DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';
FLUSH PRIVILEGES;
SQL
    is_set MARIADB_ROOT_PASSWORD_HASH ||
        printf 'ALTER USER root@localhost IDENTIFIED BY %s;\n' "$(sql_string "$1")"
    if [ "$MARIADB_ROOT_HOST" != localhost ]; then
        root=root@$(sql_string "$MARIADB_ROOT_HOST")
        printf 'CREATE USER %s %s;\n' "$root" "$(identified ROOT_)"
        printf 'GRANT ALL ON *.* TO %s WITH GRANT OPTION;\n' "$root"
        printf "GRANT PROXY ON ''@'%%' TO %s WITH GRANT OPTION;\n" "$root"
    fi
    if is_set MARIADB_MYSQL_LOCALHOST_USER; then
        printf 'CREATE USER mysql@localhost IDENTIFIED VIA unix_socket;\n'
        printf 'GRANT %s ON *.* TO mysql@localhost;\n' "${MARIADB_MYSQL_LOCALHOST_GRANTS:-USAGE}"
    fi
    printf 'SET SESSION sql_log_bin = 1;\n'
}

replicated_statements() {
    local user database=${MARIADB_DATABASE:-}
    if [ -n "$database" ]; then
        printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$(sql_name "$database")"
    fi
    if is_set MARIADB_USER; then
        user=$(sql_string "$MARIADB_USER")@$(sql_string "$MARIADB_USER_HOST")
        printf 'CREATE USER %s %s;\n' "$user" "$(identified '')"
        # In a grant, _ and % are wildcards.
        database=${database//_/\\_}
        [ -z "$database" ] || printf 'GRANT ALL ON %s.* TO %s;\n' "$(sql_name "${database//%/\\%}")" "$user"
    fi
    replication_statements
}

# Without MARIADB_MASTER_HOST, this server is a primary, and replicas log in to it.
replication_statements() {
    local user
    is_set MARIADB_REPLICATION_USER || return 0
    if is_set MARIADB_MASTER_HOST; then
        printf 'CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER=%s, MASTER_PASSWORD=%s, MASTER_CONNECT_RETRY=10;\n' \
            "$(sql_string "$MARIADB_MASTER_HOST")" "$MARIADB_MASTER_PORT" \
            "$(sql_string "$MARIADB_REPLICATION_USER")" "$(sql_string "$MARIADB_REPLICATION_PASSWORD")"
    else
        user=$(sql_string "$MARIADB_REPLICATION_USER")@\'%\'
        printf 'CREATE USER %s %s;\n' "$user" "$(identified REPLICATION_)"
        printf 'GRANT REPLICATION SLAVE ON *.* TO %s;\n' "$user"
    fi
}

set_root_password_hash() {
    is_set MARIADB_ROOT_PASSWORD_HASH || return 0
    printf 'SET SESSION sql_log_bin = 0;\nALTER USER root@localhost %s;\n' "$(identified ROOT_)" |
        discreet_root_client --binary-mode
}

load_time_zones() {
    ! is_set MARIADB_INITDB_SKIP_TZINFO || return 0
    mariadb-tzinfo-to-sql --skip-write-binlog /usr/share/zoneinfo |
        root_client --database=mysql
}
