# Runs the files in /docker-entrypoint-initdb.d. Scripts for the official image find the functions and variables that
# they use there.
# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154  # data_directory, socket: see server.sh

scripts_directory=/docker-entrypoint-initdb.d

# Runs before anything is created. An unreadable folder must not count as empty, and a backup must not be ignored.
check_initdb_scripts() {
    local file
    [ -d "$scripts_directory" ] || return 0
    { [ -r "$scripts_directory" ] && [ -x "$scripts_directory" ]; } ||
        die "uid $(id -u), gid $(id -g) cannot read $scripts_directory" \
            "($(stat -c 'owner %u:%g, mode %a' "$scripts_directory")): give it the mode 755."
    while IFS= read -r -d '' file; do
        case $file in
            *.tar | *.tar.gz | *.tar.xz | *.tar.zst)
                die "$file looks like a backup of a data directory, and this image does not restore it." \
                    "Restore it into the volume with mariadb-backup, and start without this file."
                ;;
        esac
        [ -r "$file" ] || die "uid $(id -u), gid $(id -g) cannot read $file" \
            "($(stat -Lc 'owner %u:%g, mode %a' "$file"))."
    done < <(initdb_scripts)
}

initdb_scripts() {
    find -L "$scripts_directory" -mindepth 1 -maxdepth 1 -type f ! -name '.*' -print0 | LC_ALL=C sort -z
}

run_initdb_scripts() {
    local file
    [ -d "$scripts_directory" ] || return 0
    offer_official_names
    while IFS= read -r -d '' file; do
        run_initdb_script "$file"
    done < <(initdb_scripts)
}

run_initdb_script() {
    case $1 in
        *.sh) run_shell_script "$1" ;;
        *.sql) run_sql_script "$1" cat ;;
        *.sql.gz) run_sql_script "$1" gzip -dc ;;
        *.sql.xz) run_sql_script "$1" xz -dc ;;
        *.sql.zst) run_sql_script "$1" zstd -dc ;;
        *) note "WARNING: ignoring $1: not .sh, .sql, .sql.gz, .sql.xz or .sql.zst" ;;
    esac
}

# As in the official image, an executable script is run, and any other script is sourced. In the shell of the official
# image, a variable that is not set counts as empty.
run_shell_script() {
    note "running $1"
    if [ -x "$1" ]; then
        "$1" </dev/null
    else
        set +Eu
        # shellcheck source=/dev/null
        . "$1" </dev/null
        set -Eeuo pipefail
    fi
}

run_sql_script() {
    local file=$1
    shift
    note "running $file"
    command -v "$1" >/dev/null || die "$file needs the program $1, which this image does not have."
    "$@" <"$file" | docker_process_sql
}

offer_official_names() {
    mysql=(docker_process_sql)
    DATADIR=$data_directory SOCKET=$socket PORT=$port
}

docker_process_sql() {
    [ "${1:-}" != --dont-use-mysql-root-password ] || shift
    root_client ${MARIADB_DATABASE:+--database="$MARIADB_DATABASE"} "$@"
}

docker_process_init_files() {
    local file
    for file; do
        run_initdb_script "$file"
    done
}

docker_sql_escape_string_literal() {
    local value
    value=$(sql_string "$1")
    value=${value#\'}
    printf '%s\n' "${value%\'}"
}

mysql_note() {
    note "$*"
}

mysql_warn() {
    note "WARNING: $*" >&2
}

mysql_error() {
    die "$*"
}
