#!/bin/sh
# Run a command in another root file system, with this machine's processes, devices, network, /run and /tmp.
#   in_root.sh ROOT FOLDER COMMAND...
# ROOT is only read. FOLDER takes what is written, and its `data` are found at the same path within; so are the folders
# that SHARED names.
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
for place in dev run sys tmp; do
    mount --rbind "/$place" "$new/$place"
done
for place in ${SHARED:-}; do
    mkdir -p "$new$place"
    mount --rbind "$place" "$new$place"
done
mount -t proc none "$new/proc"
cp --remove-destination /etc/resolv.conf /etc/hosts "$new/etc/"
# Between this machine and PyPI there may be somebody whom this machine trusts.
cp /etc/ssl/certs/ca-certificates.crt "$new/etc/ssl/certs/"

# Not chroot alone: that leaves this machine's root in the namespace, and an engine's command in a container goes there.
cd "$new"
pivot_root . .
umount -l .
exec chroot . env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
