# Upgrades the system tables of an older data directory to the version of this server, if MARIADB_AUTO_UPGRADE is set.
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
        note "set MARIADB_AUTO_UPGRADE=1 to back up and upgrade its system tables"
    fi
}

# with_private_server FUNCTION [OPTION...]: the password of root is not known here, so the server runs without
# grants, on a socket that clients and the health check do not use. Unlike an initialisation, this works on existing
# data, so a trap makes sure of a clean shutdown. The upgrade enables grants at its end, so each function has its own
# server.
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

# Writes a file in the data directory, with the same name as in the official image.
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
    note "backing up the system tables to $version"
    (umask 077 && mariadb-dump --no-defaults --socket="$private_socket" --user=root --skip-lock-tables --replace \
        --databases mysql | "$packer" >"$version") ||
        die "cannot back up the system tables to $version. MARIADB_DISABLE_UPGRADE_BACKUP=1 upgrades without a backup."
}

# Up to MariaDB 10.11, the file has the second name.
recorded_version() {
    local file
    for file in mariadb_upgrade_info mysql_upgrade_info; do
        if [ -r "$data_directory/$file" ]; then
            sed -n '1s/^\([0-9]*\.[0-9]*\).*/\1/p' "$data_directory/$file"
            return
        fi
    done
}
