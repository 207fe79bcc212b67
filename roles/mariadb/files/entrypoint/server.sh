# The server and its client as the entrypoint uses them: options, a private server, quoting.
#
# Variables that the other parts share: data_directory and socket (of the real server),
# private_server (process id), private_socket, root_password (of the private server).
# shellcheck shell=bash disable=SC2034

# as_mysql COMMAND...: root becomes mysql, anybody else stays who they are.
as_mysql() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=mysql --regid=mysql --init-groups -- "$@"
    else
        "$@"
    fi
}

# Asks the server itself, so that configuration files and arguments both count.
read_server_options() {
    local text
    text=$(as_mysql mariadbd "$@" --verbose --help 2>/dev/null) ||
        die "mariadbd refuses its options:"$'\n'"$(as_mysql mariadbd "$@" --verbose --help 2>&1 >/dev/null)"
    data_directory=$(server_option datadir "$text")
    data_directory=${data_directory%/}
    socket=$(server_option socket "$text")
}

server_option() {
    sed -n "s/^$1  *//p" <<<"$2" | tail -n 1
}

require_writable() {
    mkdir -p "$1" 2>/dev/null || true
    [ -w "$1" ] || die "uid $(id -u), gid $(id -g) cannot write to $1" \
        "($(stat -c 'owner %u:%g, mode %a' "$1" 2>&1)). Start the container as root, as that" \
        "owner (--user), or with group 0 where the group may write."
}

# start_private_server DATADIR SOCKET [OPTION...]: no network; ready when this returns.
start_private_server() {
    local directory=$1 attempt
    private_socket=$2
    shift 2
    mariadbd "$@" --datadir="$directory" --socket="$private_socket" --skip-networking \
        --loose-wsrep-on=OFF --skip-slave-start --expire-logs-days=0 \
        --loose-innodb-buffer-pool-load-at-startup=0 &
    private_server=$!
    for ((attempt = 0; attempt < 600; attempt++)); do
        if mariadb-admin --no-defaults --socket="$private_socket" --user=root ping >/dev/null 2>&1; then
            return
        fi
        kill -0 "$private_server" 2>/dev/null || die "the private server ended: its log is above."
        sleep 0.2
    done
    die "the private server did not answer on $private_socket within 120 seconds."
}

stop_private_server() {
    kill -TERM "$private_server"
    wait "$private_server" || die "the private server did not stop cleanly: its log is above."
}

# root_client [OPTION...] <SQL: root on the private server. The password comes as a file
# descriptor, never as an argument or a variable that other processes could see.
root_client() {
    mariadb --defaults-extra-file=/dev/fd/9 --protocol=socket --socket="$private_socket" \
        --user=root --batch "$@" 9< <(password_option "${root_password:-}")
}

# Scripts written for the official image call this name.
docker_process_sql() {
    root_client ${MARIADB_DATABASE:+--database="$MARIADB_DATABASE"} "$@"
}

# An option file with one password; inside double quotes only \ and " and line ends are special.
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

random_password() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# add_healthcheck_account DATADIR: an account without rights, for the socket only. Socket
# authentication would need a user name, which an arbitrary uid does not have.
add_healthcheck_account() {
    local password
    password=$(random_password)
    root_client <<SQL
FLUSH PRIVILEGES;
SET SESSION sql_log_bin = 0;
CREATE OR REPLACE USER healthcheck@localhost IDENTIFIED BY '$password';
SQL
    (umask 077 && printf '[client]\nuser=healthcheck\npassword=%s\n' "$password" \
        >"$1/.my-healthcheck.cnf")
}
