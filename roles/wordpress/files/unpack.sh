#!/bin/sh
# Unpacks an archive. All of its files then belong to one user and to group 0, which may both write to them, and every
# user may read them.
#
# usage: unpack.sh ARCHIVE DIRECTORY STRIP OWNER
#   ARCHIVE    a tar archive; tar detects the compression
#   DIRECTORY  an existing directory
#   STRIP      number of leading directories in the archive to leave out
#   OWNER      the user, as a name or a uid
set -eu

archive=$1 directory=$2 strip=$3 owner=$4

tar --extract --file "$archive" --directory "$directory" --strip-components "$strip" --no-same-owner
chown -hR "$owner:0" "$directory"
chmod -R u=rwX,g=rwX,o=rX "$directory"
