#!/bin/bash
# Checks whether MariaDB in this container is healthy, without the password of any user.
#
#   healthcheck.sh [CHECK or OPTION...]     in this order; an option applies to the checks after it
#
# --connect                     the server accepts a connection (the default check)
# --innodb_initialized          InnoDB is ready
# --innodb_buffer_pool_loaded   the buffer pool of the previous server was loaded
# --galera_online               this node of a cluster is synced
# --galera_ready                this node accepts statements
# --mariadbupgrade              the system tables have the version of the server
# --replication                 this replica has a primary, and the conditions before this option are true:
#                               --replication_io, --replication_sql: the thread runs;
#                               --replication_seconds_behind_master=N, --replication_sql_remaining_delay=N: at most N;
#                               --replication_name=NAME, --replication_all: of this connection, or of all connections
#
# --datadir=DIRECTORY           the directory with the data and the account of this check
# --defaults-file=FILE, --defaults-extra-file=FILE, --defaults-group-suffix=SUFFIX, --no-defaults   options of the client
# --su=USER, --su-mysql         if this is root, run the checks as this user
#
# It logs in through the socket, with the account that the entrypoint created in the data directory.
# A data directory from elsewhere has no such account. Then, any answer of the server is healthy.
set -Eeuo pipefail

directory=/var/lib/mysql
client=()
replication_name='' replication_wanted=()

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

ask() {
    local options=("${client[@]}")
    if [ ${#options[@]} -eq 0 ]; then
        options=(--defaults-extra-file="$directory/.my-healthcheck.cnf")
    fi
    mariadb "${options[@]}" --connect-timeout=3 --protocol=socket --batch "$@"
}

# wants ANSWER QUERY
wants() {
    local answer
    answer=$(ask --skip-column-names --execute "$2")
    [ "$answer" = "$1" ] || fail "the answer to $2 is '$answer'; expected '$1'"
}

status() {
    printf "SELECT VARIABLE_VALUE %s FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '%s'" "$2" "$1"
}

# Each selected connection must satisfy all conditions.
check_replication() {
    local wanted
    wanted=$(IFS=,; printf '%s' "${replication_wanted[*]}")
    ask --vertical --execute 'SHOW ALL SLAVES STATUS' | awk -v name="$replication_name" -v wanted="$wanted" '
        $1 == "Connection_name:" { connection = $2; asked = name == "*" || connection == name; seen += asked }
        asked && $1 == "Slave_IO_Running:" && wanted ~ /io=/ && $2 != "Yes" { bad = bad " " $0 }
        asked && $1 == "Slave_SQL_Running:" && wanted ~ /sql=/ && $2 != "Yes" { bad = bad " " $0 }
        asked && $1 == "Seconds_Behind_Master:" && match(wanted, /behind=[0-9]+/) &&
            ($2 == "NULL" || $2 + 0 > substr(wanted, RSTART + 7, RLENGTH - 7) + 0) { bad = bad " " $0 }
        asked && $1 == "SQL_Remaining_Delay:" && match(wanted, /delay=[0-9]+/) &&
            $2 != "NULL" && $2 + 0 > substr(wanted, RSTART + 6, RLENGTH - 6) + 0 { bad = bad " " $0 }
        END { if (!seen) bad = " no such connection to a primary"; if (bad) print "replication:" bad > "/dev/stderr"; exit bad != "" }'
}

check_upgrade() {
    local file running
    running=$(mariadbd --version | sed -n 's/.*Ver \([0-9]*\.[0-9]*\).*/\1/p')
    for file in mariadb_upgrade_info mysql_upgrade_info; do
        if [ -r "$directory/$file" ]; then
            [[ $(<"$directory/$file") == "$running".* ]] || fail "the system tables have version $(<"$directory/$file"); expected $running"
            return
        fi
    done
    fail "the version of the system tables in $directory is not known"
}

become() {
    [ "$(id -u)" = 0 ] || fail "only root can run the checks as the user $1"
    exec setpriv --reuid="$1" --regid="$1" --init-groups -- "$0" "${@:2}"
}

# perform CHECK VALUE
perform() {
    case $1 in
        connect) wants 1 'SELECT 1' ;;
        innodb_initialized)
            wants 1 "SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = 'InnoDB' AND SUPPORT IN ('YES', 'DEFAULT')"
            ;;
        innodb_buffer_pool_loaded)
            wants 1 "$(status INNODB_BUFFER_POOL_LOAD_STATUS "LIKE '%completed%'")"
            ;;
        galera_online) wants 1 "$(status WSREP_LOCAL_STATE '= 4')" ;;
        galera_ready) wants 1 "$(status WSREP_READY "= 'ON'")" ;;
        mariadbupgrade) check_upgrade ;;
        replication) check_replication ;;
        replication_all) replication_name='*' ;;
        replication_name) replication_name=$2 ;;
        replication_io) replication_wanted+=(io=) ;;
        replication_sql) replication_wanted+=(sql=) ;;
        replication_seconds_behind_master) replication_wanted+=("behind=$2") ;;
        replication_sql_remaining_delay) replication_wanted+=("delay=$2") ;;
        *)
            echo "healthcheck.sh: unknown option --$1" >&2
            exit 2
            ;;
    esac
}

is_unknown_account() {
    [ ${#client[@]} -eq 0 ] && [ ! -r "$directory/.my-healthcheck.cnf" ]
}

arguments=("$@") done=0 checks=()
for argument; do
    done=$((done + 1))
    case $argument in
        --datadir=*) directory=${argument#*=} ;;
        --no-defaults) client=(--no-defaults) ;;
        --defaults-file=* | --defaults-extra-file=* | --defaults-group-suffix=*) client=("$argument") ;;
        --su=*) become "${argument#*=}" "${arguments[@]:done}" ;;
        --su-mysql) become mysql "${arguments[@]:done}" ;;
        *) checks+=("$argument") ;;
    esac
done

if [ -d "$directory/.initialising" ]; then
    fail "the database is still being initialised"
elif is_unknown_account; then
    exec mariadb-admin --connect-timeout=3 --protocol=socket ping
fi
for argument in "${checks[@]:---connect}"; do
    name=${argument#--}
    value=${name#*=} name=${name%%=*}
    perform "${name//-/_}" "$value"
done
