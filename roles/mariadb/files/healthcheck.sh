#!/bin/bash
# Tells whether MariaDB in this container is healthy, without knowing any user's password.
#
#   healthcheck.sh [--connect] [--innodb_initialized] [--datadir=DIRECTORY]
#
# --connect             the server accepts a connection (also the meaning of no check at all)
# --innodb_initialized  InnoDB is ready
#
# It logs in through the socket as the account that the entrypoint made in the data directory.
# A data directory that came from elsewhere has none: there, any answer of the server counts.
set -Eeuo pipefail

directory=/var/lib/mysql
innodb=no
for argument; do
    case $argument in
        --connect) ;;
        --innodb_initialized) innodb=yes ;;
        --datadir=*) directory=${argument#*=} ;;
        *)
            echo "healthcheck.sh: unknown option $argument" >&2
            exit 2
            ;;
    esac
done

account=$directory/.my-healthcheck.cnf
if [ -d "$directory/.initialising" ]; then
    echo "the database is still being initialised" >&2
    exit 1
elif [ ! -r "$account" ]; then
    exec mariadb-admin --connect-timeout=3 --protocol=socket ping
fi

query='SELECT 1'
if [ "$innodb" = yes ]; then
    query="SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = 'InnoDB' AND SUPPORT IN ('YES', 'DEFAULT')"
fi
answer=$(mariadb --defaults-extra-file="$account" --connect-timeout=3 --protocol=socket \
    --skip-column-names --batch --execute "$query")
[ "$answer" = 1 ] || {
    echo "unexpected answer to $query: '$answer'" >&2
    exit 1
}
