#!/bin/sh
# Start an engine as an ordinary user, and run a command as that user.
#   rootless.sh FOLDER docker|podman COMMAND...
# Root runs it in another root file system. FOLDER is that of the machine. The home folder of the user is in its `data`.
set -eu
folder=$1 engine=$2
shift 2
home=$folder/data/home
runtime=/run/user/1500

chmod 755 "$folder" "$folder/data"
useradd --create-home --home-dir "$home" --uid 1500 --shell /bin/sh builder
install -d -o builder -g builder -m 700 "$runtime"
# With udev, every user could open this device.
mknod -m 666 /run/tun c 10 200
mount --bind /run/tun /dev/net/tun

as_user() {
    setpriv --reuid builder --regid builder --init-groups env --unset=XDG_STATE_HOME --unset=XDG_CACHE_HOME \
        HOME="$home" USER=builder XDG_RUNTIME_DIR=$runtime DOCKER_HOST=unix://$runtime/engine.sock "$@"
}

cd "$home"
case $engine in
docker)
    as_user sh /usr/share/docker.io/contrib/dockerd-rootless.sh --host "unix://$runtime/engine.sock"
    ;;
podman)
    as_user podman system service --time=0 "unix://$runtime/engine.sock"
    ;;
esac </dev/null >"$folder/data/log" 2>&1 &
left=300
until [ -S $runtime/engine.sock ]; do
    if ! kill -0 $! || [ $((left -= 1)) = 0 ]; then
        tail -n 20 "$folder/data/log" >&2
        exit 1
    fi
    sleep 0.1
done
as_user "$@"
