# Reads MARIADB_... variables, their MYSQL_... aliases and the _FILE form of both.
# shellcheck shell=bash disable=SC2154  # data_directory: see server.sh

# Each line: the name without prefix, and the alias where it is not MYSQL_<name>.
setting_names='ROOT_PASSWORD
RANDOM_ROOT_PASSWORD
ALLOW_EMPTY_ROOT_PASSWORD MYSQL_ALLOW_EMPTY_PASSWORD
ROOT_HOST
DATABASE
USER
PASSWORD
INITDB_SKIP_TZINFO'

# Variables of other MariaDB images that would be dangerous to ignore in silence.
unsupported_settings='ROOT_PASSWORD_HASH PASSWORD_HASH MASTER_HOST REPLICATION_USER'

# load_setting TARGET SOURCE: fills TARGET from SOURCE or from the file that SOURCE_FILE names.
load_setting() {
    local target=$1 value=${!2:-} file_variable=${2}_FILE
    local file=${!file_variable:-}
    if [ -n "$file" ]; then
        [ -z "$value" ] || die "both $2 and $file_variable are set: keep one of them."
        [ -r "$file" ] || die "$file_variable names '$file', which uid $(id -u) cannot read."
        value=$(<"$file")
        # Otherwise the second start of this script, as mysql, would read the file again.
        unset "$file_variable"
    fi
    [ -z "$value" ] || export "$target=$value"
}

load_settings() {
    local name alias
    for name in $unsupported_settings; do
        name=MARIADB_$name
        [ -z "${!name:-}" ] || die "$name is not supported by this image: remove it, and set" \
            "up that account by a script in /docker-entrypoint-initdb.d."
    done
    while read -r name alias; do
        load_setting "MARIADB_$name" "${alias:-MYSQL_$name}"
        load_setting "MARIADB_$name" "MARIADB_$name"
    done <<<"$setting_names"
    check_settings
}

check_settings() {
    if [ -z "${MARIADB_ROOT_PASSWORD:-}${MARIADB_RANDOM_ROOT_PASSWORD:-}${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-}" ]; then
        die "$data_directory holds no database yet, and nothing says what root's password shall be." \
            "Set one of MARIADB_ROOT_PASSWORD, MARIADB_ROOT_PASSWORD_FILE," \
            "MARIADB_RANDOM_ROOT_PASSWORD=1 or MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1."
    fi
    [ "${MARIADB_USER:-}" != root ] ||
        die "MARIADB_USER is root, who exists already: set MARIADB_ROOT_PASSWORD instead."
    [ -z "${MARIADB_USER:-}" ] || [ -n "${MARIADB_PASSWORD:-}" ] ||
        die "MARIADB_USER is set without MARIADB_PASSWORD: set both or neither."
    [ -n "${MARIADB_USER:-}" ] || [ -z "${MARIADB_PASSWORD:-}" ] ||
        die "MARIADB_PASSWORD is set without MARIADB_USER: set both or neither."
}

# The server needs none of these, and its environment is readable in /proc.
forget_settings() {
    local name alias
    while read -r name alias; do
        unset "MARIADB_$name" "${alias:-MYSQL_$name}"
    done <<<"$setting_names"
}
