#!/bin/sh
# Run a command in another root file system, with the processes, devices, network, /run and /tmp of this machine.
#   in_root.sh ROOT FOLDER COMMAND...
# ROOT is only read. FOLDER gets the written files. Its subfolder `data`, and the folders in SHARED, have the same paths
# inside.
set -eu
if [ "$1" != within ]; then
    exec unshare --mount "$0" within "$@"
fi
root=$2 folder=$3
shift 3

new=$folder/root
mkdir -p "$folder/upper" "$folder/work" "$folder/data/docker" "$new"
mount -t overlay -o "lowerdir=$root,upperdir=$folder/upper,workdir=$folder/work" none "$new"
mkdir -p "$new$folder" "$new/var/lib/docker"
mount --bind "$folder" "$new$folder"
mount --bind "$folder/data" "$new$folder/data"
# An overlay cannot hold the layers of another overlay.
mount --bind "$folder/data/docker" "$new/var/lib/docker"
for path in dev run sys tmp; do
    mount --rbind "/$path" "$new/$path"
done
for path in ${SHARED:-}; do
    mkdir -p "$new$path"
    mount --rbind "$path" "$new$path"
done
mount -t proc none "$new/proc"
cp --remove-destination /etc/resolv.conf /etc/hosts "$new/etc/"
# There may be a proxy between this machine and PyPI, and its certificate is in this file.
cp /etc/ssl/certs/ca-certificates.crt "$new/etc/ssl/certs/"

# chroot alone is not enough: this machine's root would stay in the namespace, and `docker exec` would end up there.
cd "$new"
pivot_root . .
umount -l .
exec chroot . env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
