# Functions for the server and its client: options, a private server, quoting.
#
# Variables that the other parts share: data_directory, socket and port (of the real server),
# private_server (process id), private_socket, root_password (of the private server).
# shellcheck shell=bash disable=SC2034,SC2119,SC2120

# as_mysql COMMAND...: runs a command as the user mysql, if this user is root; otherwise as this user.
as_mysql() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=mysql --regid=mysql --init-groups -- "$@"
    else
        "$@"
    fi
}

# The server itself prints its options, so configuration files and arguments are both included.
read_server_options() {
    local text
    text=$(as_mysql mariadbd "$@" --verbose --help 2>/dev/null) ||
        die "mariadbd rejects its options:"$'\n'"$(as_mysql mariadbd "$@" --verbose --help 2>&1 >/dev/null)"
    data_directory=$(server_option datadir "$text")
    data_directory=${data_directory%/}
    socket=$(server_option socket "$text")
    port=$(server_option port "$text")
    case $socket in
        /* | @*) ;;
        *) socket=$data_directory/$socket ;;
    esac
}

# Prints nothing for a socket without a file, whose name begins with @.
socket_directory() {
    [ "${socket:0:1}" = @ ] || printf '%s' "${socket%/*}"
}

server_option() {
    sed -n "s/^$1  *//p" <<<"$2" | tail -n 1
}

require_writable() {
    mkdir -p "$1" 2>/dev/null || true
    [ -w "$1" ] || die "uid $(id -u), gid $(id -g) cannot write to $1" \
        "($(stat -c 'owner %u:%g, mode %a' "$1" 2>&1)). Start the container as root, as this" \
        "owner (--user), or with group 0 if the group may write."
}

# These options override options of the real server with which the private server cannot start, or that it must not
# use. For example, the tables with the names of time zones are still empty.
private_options=(--default-time-zone=SYSTEM --skip-networking --loose-wsrep-on=OFF --skip-slave-start
    --expire-logs-days=0 --loose-innodb-buffer-pool-load-at-startup=0 --loose-skip-ssl)

# start_private_server DATADIR SOCKET [OPTION...]: starts a server without network, and waits until it is ready.
start_private_server() {
    local directory=$1 attempt
    private_socket=$2
    shift 2
    mariadbd "$@" --datadir="$directory" --socket="$private_socket" "${private_options[@]}" &
    private_server=$!
    for ((attempt = 0; attempt < 600; attempt++)); do
        if mariadb-admin --no-defaults --socket="$private_socket" --user=root ping >/dev/null 2>&1; then
            return
        fi
        kill -0 "$private_server" 2>/dev/null || die "the private server ended: see its log above."
        sleep 0.2
    done
    die "the private server did not answer on $private_socket within 120 seconds."
}

stop_private_server() {
    kill -TERM "$private_server"
    wait "$private_server" || die "the private server did not stop cleanly: see its log above."
}

# root_client [OPTION...] <SQL: runs statements as root on the private server. The password is passed by a file
# descriptor, because other processes can see arguments and environment variables.
root_client() {
    mariadb --defaults-extra-file=/dev/fd/9 --protocol=socket --socket="$private_socket" \
        --user=root --batch "$@" 9< <(password_option "${root_password:-}")
}

# The same, for statements that contain passwords: an error message does not show the statement.
discreet_root_client() {
    root_client --loose-skip-print-query-on-error "$@"
}

# Prints an option file with one password. Inside double quotes, only \ and " and line ends are special.
password_option() {
    local value=${1//\\/\\\\}
    value=${value//\"/\\\"}
    printf '[client]\npassword="%s"\n' "${value//$'\n'/\\n}"
}

sql_string() {
    local value=${1//\\/\\\\}
    printf "'%s'" "${value//\'/\'\'}"
}

sql_name() {
    local quote=\`
    printf '%s' "$quote${1//$quote/$quote$quote}$quote"
}

# The password satisfies the server's own checks: simple_password_check requires digits, letters of both cases, and
# another character.
random_password() {
    local password=''
    until [[ $password =~ ^[A-Za-z] && $password =~ [0-9] && $password =~ [a-z] && $password =~ [A-Z] && $password =~ [-_] ]]; do
        password=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
    done
    printf '%s' "$password"
}

# add_healthcheck_account DATADIR: creates an account that can log in only from this machine. It has no privileges, except
# those in MARIADB_HEALTHCHECK_GRANTS. It has a password, because socket authentication needs a user name, and an arbitrary
# uid has none.
add_healthcheck_account() {
    local password host
    password=$(random_password)
    {
        printf 'FLUSH PRIVILEGES;\nSET SESSION sql_log_bin = 0;\n'
        for host in localhost 127.0.0.1 ::1; do
            printf "CREATE OR REPLACE USER healthcheck@'%s' IDENTIFIED BY '%s';\n" "$host" "$password"
            printf "GRANT %s ON *.* TO healthcheck@'%s';\n" "${MARIADB_HEALTHCHECK_GRANTS:-USAGE}" "$host"
        done
    } | discreet_root_client
    (umask 077 && printf '[client]\nport=%s\nsocket=%s\nuser=healthcheck\npassword=%s\n' \
        "$port" "$socket" "$password" >"$1/.my-healthcheck.cnf")
}
