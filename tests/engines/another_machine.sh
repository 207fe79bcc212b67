#!/bin/sh
# Run a command as on another machine, which has a network of its own; all that it starts ends with it.
#   another_machine.sh NAME BRIDGE ADDRESS GATEWAY COMMAND...
# No two machines have the same NAME. BRIDGE leads to other networks, ADDRESS is free there (172.17.255.254/16).
set -eu

if [ "$1" != within ]; then
    exec 9</proc/self/ns/net
    # Nothing survives the first process of a namespace, so nothing is left to clear up but files.
    exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" within "$@"
fi
name=$2 bridge=$3 address=$4 gateway=$5
shift 5

link=tw$(printf %s "$name" | cksum | cut -d ' ' -f 1)
ip link add "$link" type veth peer name eth0
ip link set "$link" netns /proc/self/fd/9
nsenter --net=/proc/self/fd/9 ip link set "$link" master "$bridge" up
exec 9<&-
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"

mount -t tmpfs -o mode=755 none /run
mkdir /run/lock

# Not `exec`: the first process has to bury those that lose their parent, which Python would not.
"$@"
