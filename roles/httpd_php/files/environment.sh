# Functions that set up the environment of both servers, from Apache's envvars and the caller's variables.
# shellcheck shell=bash disable=SC2034  # scripts that include this file use fpm_socket

# settings.sh sets these variables.
apache_program='' apache_config='' apache_config_dir='' fpm_program='' fpm_config='' stop_timeout=''
# shellcheck source=/dev/null
. /usr/local/lib/httpd-php/settings.sh

load_environment() {
    export APACHE_CONFDIR=${APACHE_CONFDIR:-$apache_config_dir}
    : "${APACHE_ENVVARS:=$APACHE_CONFDIR/envvars}"
    if [ -f "$APACHE_ENVVARS" ]; then
        # shellcheck source=/dev/null
        . "$APACHE_ENVVARS"
    fi
    fpm_socket=$APACHE_RUN_DIR/php-fpm.sock
    # Only root can change to another user. Apache writes a numeric user as #1000, FPM as 1000.
    export HTTPD_PHP_FPM_LISTEN=$fpm_socket HTTPD_PHP_FPM_USER='' HTTPD_PHP_FPM_GROUP=''
    if [ "$(id -u)" -eq 0 ]; then
        HTTPD_PHP_FPM_USER=${APACHE_RUN_USER#\#}
        HTTPD_PHP_FPM_GROUP=${APACHE_RUN_GROUP#\#}
    fi
}

# A pid file from before a restart may contain the number of an unrelated process.
prepare_directories() {
    mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR" "$APACHE_LOG_DIR"
    rm -f "$APACHE_PID_FILE" "$fpm_socket"
}
