# Reads MARIADB_... variables, their MYSQL_... aliases and the _FILE form of both.
# shellcheck shell=bash disable=SC2154  # data_directory: see server.sh

# Each line: the name without MARIADB_, and the alias if there is one.
setting_names='ROOT_PASSWORD MYSQL_ROOT_PASSWORD
ROOT_PASSWORD_HASH
RANDOM_ROOT_PASSWORD MYSQL_RANDOM_ROOT_PASSWORD
ALLOW_EMPTY_ROOT_PASSWORD MYSQL_ALLOW_EMPTY_PASSWORD
ROOT_HOST MYSQL_ROOT_HOST
DATABASE MYSQL_DATABASE
USER MYSQL_USER
USER_HOST
PASSWORD MYSQL_PASSWORD
PASSWORD_HASH
MYSQL_LOCALHOST_USER
MYSQL_LOCALHOST_GRANTS
HEALTHCHECK_GRANTS
REPLICATION_USER
REPLICATION_PASSWORD
REPLICATION_PASSWORD_HASH
MASTER_HOST
MASTER_PORT
INITDB_SKIP_TZINFO MYSQL_INITDB_SKIP_TZINFO'

# Variables that are read at every start, or by the clients of MariaDB.
other_names='MARIADB_AUTO_UPGRADE MARIADB_DISABLE_UPGRADE_BACKUP MARIADB_VERSION MARIADB_HOME
MYSQL_PWD MYSQL_HOME MYSQL_HOST MYSQL_TCP_PORT MYSQL_UNIX_PORT MYSQL_GROUP_SUFFIX MYSQL_HISTFILE MYSQL_PS1'

is_set() {
    [ -n "${!1:-}" ]
}

# value_of NAME RESULT: writes the value of NAME, or the content of the file that NAME_FILE names, to the variable RESULT.
value_of() {
    local name=$1 file_name=${1}_FILE
    local -n result=$2
    local file=${!file_name:-}
    result=${!name:-}
    if [ -n "$file" ]; then
        [ -z "$result" ] || die "both $name and $file_name are set: keep one of them."
        [ -r "$file" ] || die "$file_name names '$file', which uid $(id -u) cannot read."
        result=$(<"$file")
    fi
    # Otherwise, this script would read the file again when it restarts as mysql.
    unset "$file_name"
}

# Scripts may use either name, so both get the value. If they differ, MARIADB_... takes precedence.
load_setting() {
    local name=MARIADB_$1 alias=${2:-} value='' other=''
    value_of "$name" value
    [ -z "$alias" ] || value_of "$alias" other
    value=${value:-$other}
    if [ -n "$value" ]; then
        export "$name=$value"
        [ -z "$alias" ] || export "$alias=$value"
    fi
}

load_settings() {
    local name alias
    while read -r name alias; do
        load_setting "$name" "$alias"
    done <<<"$setting_names"
    check_root_settings
    check_user_settings
    check_replication_settings
    check_grants MARIADB_HEALTHCHECK_GRANTS
    check_grants MARIADB_MYSQL_LOCALHOST_GRANTS
    # Scripts can rely on these variables.
    export MARIADB_ROOT_HOST=${MARIADB_ROOT_HOST:-%} MARIADB_USER_HOST=${MARIADB_USER_HOST:-%}
    export MYSQL_ROOT_HOST=$MARIADB_ROOT_HOST MARIADB_MASTER_PORT=${MARIADB_MASTER_PORT:-3306}
}

# A misspelt name would have no effect. Variables that Kubernetes sets for a service named mariadb or mysql are not settings.
warn_of_unknown_settings() {
    local name known=" ${setting_names//$'\n'/ } ${other_names//$'\n'/ } "
    for name in "${!MARIADB_@}" "${!MYSQL_@}"; do
        case $name in
            *_SERVICE_HOST | *_SERVICE_PORT | *_SERVICE_PORT_* | MARIADB_PORT | MYSQL_PORT | *_PORT_*_TCP*) continue ;;
        esac
        name=${name%_FILE}
        [[ $known == *" $name "* || $known == *" ${name#MARIADB_} "* ]] ||
            note "WARNING: $name is not a setting of this image, and is ignored."
    done
}

check_root_settings() {
    local name ways=''
    for name in MARIADB_ROOT_PASSWORD MARIADB_RANDOM_ROOT_PASSWORD MARIADB_ALLOW_EMPTY_ROOT_PASSWORD; do
        is_set "$name" && ways+="$name "
    done
    if is_set MARIADB_ROOT_PASSWORD_HASH; then
        [ -z "$ways" ] || die "MARIADB_ROOT_PASSWORD_HASH is set, and so is ${ways% }: keep one of them."
    elif [ -z "$ways" ]; then
        die "$data_directory contains no database yet, and no password of root is set." \
            "Set one of MARIADB_ROOT_PASSWORD, MARIADB_ROOT_PASSWORD_FILE, MARIADB_ROOT_PASSWORD_HASH," \
            "MARIADB_RANDOM_ROOT_PASSWORD=1 or MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1."
    fi
}

check_user_settings() {
    local name
    [ "${MARIADB_USER:-}" != root ] ||
        die "MARIADB_USER is root, which already exists: set MARIADB_ROOT_PASSWORD instead."
    ! is_set MARIADB_PASSWORD || ! is_set MARIADB_PASSWORD_HASH ||
        die "both MARIADB_PASSWORD and MARIADB_PASSWORD_HASH are set: keep one of them."
    if is_set MARIADB_USER; then
        is_set MARIADB_PASSWORD || is_set MARIADB_PASSWORD_HASH ||
            die "MARIADB_USER is set without MARIADB_PASSWORD or MARIADB_PASSWORD_HASH: set one of them, or remove MARIADB_USER."
        return
    fi
    for name in MARIADB_PASSWORD MARIADB_PASSWORD_HASH MARIADB_USER_HOST; do
        # When this script restarts as mysql, the default is already set.
        [ "$name" = MARIADB_USER_HOST ] && [ "${MARIADB_USER_HOST:-}" = % ] && continue
        ! is_set "$name" || die "$name is set without MARIADB_USER: set both or neither."
    done
}

check_replication_settings() {
    if is_set MARIADB_MASTER_HOST; then
        { is_set MARIADB_REPLICATION_USER && is_set MARIADB_REPLICATION_PASSWORD; } ||
            die "MARIADB_MASTER_HOST makes this server a replica, which must log in to its primary:" \
                "set MARIADB_REPLICATION_USER and MARIADB_REPLICATION_PASSWORD."
        [[ ${MARIADB_MASTER_PORT:-3306} =~ ^[0-9]{1,5}$ ]] ||
            die "MARIADB_MASTER_PORT is '$MARIADB_MASTER_PORT': expected a port number."
    fi
    ! is_set MARIADB_REPLICATION_PASSWORD || ! is_set MARIADB_REPLICATION_PASSWORD_HASH ||
        die "both MARIADB_REPLICATION_PASSWORD and MARIADB_REPLICATION_PASSWORD_HASH are set: keep one of them."
    if is_set MARIADB_REPLICATION_USER; then
        is_set MARIADB_REPLICATION_PASSWORD || is_set MARIADB_REPLICATION_PASSWORD_HASH ||
            die "MARIADB_REPLICATION_USER is set without MARIADB_REPLICATION_PASSWORD or MARIADB_REPLICATION_PASSWORD_HASH."
    elif is_set MARIADB_REPLICATION_PASSWORD || is_set MARIADB_REPLICATION_PASSWORD_HASH; then
        die "a password for replication is set without MARIADB_REPLICATION_USER: set both or neither."
    fi
}

# Privileges are inserted into a statement without quoting.
check_grants() {
    [[ ${!1:-USAGE} =~ ^[A-Za-z]+([\ ,]+[A-Za-z]+)*$ ]] ||
        die "$1 is '${!1}': expected privileges separated by commas, such as 'REPLICA MONITOR, PROCESS'."
}

# The server does not need these variables, and its environment is readable in /proc.
forget_settings() {
    local name alias
    while read -r name alias; do
        unset "MARIADB_$name" "MARIADB_${name}_FILE" ${alias:+"$alias" "${alias}_FILE"}
    done <<<"$setting_names"
}
