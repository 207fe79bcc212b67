# Brings the system tables of an older data directory up to this server, where that is asked for.
# shellcheck shell=bash disable=SC2154  # data_directory, socket, private_...: see server.sh

upgrade_if_asked() {
    local recorded running older=no
    recorded=$(recorded_version)
    running=$(mariadbd --version | sed -n 's/.*Ver \([0-9]*\.[0-9]*\).*/\1/p')
    if [ "$(printf '%s\n' "${recorded:-0}" "$running" | sort -V | tail -n 1)" != "${recorded:-0}" ]; then
        older=yes
        note "$data_directory was last used by MariaDB ${recorded:-of unknown version}, this is $running"
    fi
    if [ "${MARIADB_AUTO_UPGRADE:-0}" != 0 ]; then
        check_grants MARIADB_HEALTHCHECK_GRANTS
        [ "$older" = no ] || with_private_server upgrade_system_tables "$@"
        [ -e "$data_directory/.my-healthcheck.cnf" ] ||
            with_private_server add_healthcheck_account "$@"
    elif [ "$older" = yes ]; then
        note "MARIADB_AUTO_UPGRADE=1 upgrades its system tables, after a backup of them"
    fi
}

# with_private_server FUNCTION [OPTION...]: no password of root is known here, so the server runs
# without grants, on a socket that neither clients nor the health check look at. Unlike an
# initialisation this works on data worth a clean shutdown, hence the trap. The upgrade turns
# grants on at its end: one server per function.
with_private_server() {
    local work=$1
    shift
    start_private_server "$data_directory" "$data_directory/.upgrade.sock" "$@" --skip-grant-tables
    trap 'stop_private_server; exit 143' TERM
    "$work" "$data_directory"
    trap - TERM
    stop_private_server
}

upgrade_system_tables() {
    back_up_system_tables "$1"
    mariadb-upgrade --no-defaults --socket="$private_socket" --user=root --upgrade-system-tables >&2
}

# In a file of the data directory, as the official image names it.
back_up_system_tables() {
    local version packer=gzip suffix=gz
    if [ "${MARIADB_DISABLE_UPGRADE_BACKUP:-}" = 1 ]; then
        note "MARIADB_DISABLE_UPGRADE_BACKUP=1: no backup of the system tables"
        return
    fi
    if command -v zstd >/dev/null; then
        packer=zstd suffix=zst
    fi
    version=$(recorded_version)
    version=$1/system_mysql_backup_${version:-unknown_version}.sql.$suffix
    note "backing the system tables up to $version"
    (umask 077 && mariadb-dump --no-defaults --socket="$private_socket" --user=root --skip-lock-tables --replace \
        --databases mysql | "$packer" >"$version") ||
        die "cannot back the system tables up to $version. MARIADB_DISABLE_UPGRADE_BACKUP=1 upgrades without a backup."
}

# The file has the old name up to MariaDB 10.11.
recorded_version() {
    local file
    for file in mariadb_upgrade_info mysql_upgrade_info; do
        if [ -r "$data_directory/$file" ]; then
            sed -n '1s/^\([0-9]*\.[0-9]*\).*/\1/p' "$data_directory/$file"
            return
        fi
    done
}
