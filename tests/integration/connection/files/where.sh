#!/bin/sh
case $0 in /srv/elsewhere/tmp/*) echo there ;; *) echo "$0" ;; esac
