#!/bin/sh
# Copies the distribution's own Python to a separate folder, with its package-manager bindings and all libraries,
# including the C library. It runs from there independently of the rest of the file system. This script runs as root in
# a temporary container with the base's layers.
#
# usage: install_python.sh TARGET METHOD CACHE EVENTS LOG
#   TARGET  empty directory, with the path that it will have in build containers; TARGET/bin/python3 is the program
#   METHOD  text of apt_method.py; with TARGET/apt/apt.conf, apt uses it
#   CACHE   path in build containers of the cache for that method
#   EVENTS  text of apt_events.py; with TARGET/apt/measured.conf, apt uses it
#   LOG     path in build containers of the file for these events
set -eu
umask 022

target=$1 method=$2 cache=$3 events=$4 log=$5
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE # packages must write their byte code

apt_get() {
    apt-get -qq -o Acquire::Retries=2 -o Acquire::Languages=none "$@" </dev/null
}
apt_get update
apt_get install --yes --no-install-recommends \
    -o DPkg::Options::=--force-unsafe-io -o DPkg::Options::=--force-confnew \
    python3 python3-apt python3-debian >/dev/null

program=$(readlink -f /usr/bin/python3)
name=${program##*/} # python3.11
mkdir -p "$target/bin" "$target/lib/$name" "$target/lib/python3/dist-packages"
cp "$program" "$target/bin/"

# The standard library without parts that modules do not need. Time stamps are kept, because byte code is only valid
# with the time stamp of its source.
tar -C "/usr/lib/$name" --dereference -cf - \
    --exclude=./dist-packages --exclude=./ensurepip --exclude=./idlelib --exclude=./lib2to3 --exclude=./pydoc_data \
    --exclude=./test --exclude=./tkinter --exclude=./turtledemo --exclude='./config-*' --exclude='*sitecustomize.*' \
    --exclude='lib-dynload/_*test*' --exclude='lib-dynload/nis.*' --exclude='lib-dynload/xxlimited*' . |
    tar -C "$target/lib/$name" -xf -
for package in python3-apt python3-debian python3-chardet python3-charset-normalizer; do
    dpkg-query --listfiles "$package" 2>/dev/null || true
done | sed -n 's|^/usr/lib/python3/dist-packages/\([^/]*\)$|\1|p' | grep -v -e 'info$' -e '-stubs$' | sort -u |
    tar -C /usr/lib/python3/dist-packages -cf - --files-from=- |
    tar -C "$target/lib/python3/dist-packages" -xf -

# Modules also find Python packages of the image, as they do over SSH. sys.executable is the image's Python if there is
# one, because a role may store this path in the image. A process that runs several modules calls look_again() before
# each of them.
cat >"$target/lib/$name/sitecustomize.py" <<END
import os, site, sys
PYTHON = "$target/bin/python3"
def look_again():
    for folder in ("/usr/local/lib/$name/dist-packages", "/usr/lib/python3/dist-packages"):
        if folder not in sys.path and os.path.isdir(folder):
            site.addsitedir(folder)
    sys.executable = next(filter(os.path.exists, ("/usr/bin/python3", PYTHON)))
look_again()
END

# Libraries that name services and threads load by name, and all libraries that programs are linked with.
libraries=$(ldd "$program" | sed -n 's|^.* => \(/[^ ]*\)/libc\.so\.6 (.*|\1|p')
{
    for library in nss_files.so.2 nss_dns.so.2 nss_compat.so.2 resolv.so.2 crypt.so.1 gcc_s.so.1; do
        ! [ -e "$libraries/lib$library" ] || echo "$libraries/lib$library"
    done
    find "$target" -name '*.so' -exec ldd "$program" {} + | sed -n 's|^.* => \(/[^ ]*\) (.*|\1|p'
} | sort -u | while read -r file; do
    cp -L "$file" "$target/lib/"
done

# The loader gets the library path as an argument, so that child processes do not inherit it. (An RPATH would do the
# same, but patchelf 0.18 of Debian 13 breaks Debian's Python, because that is an executable with fixed addresses.)
loader=$(ldd "$program" | sed -n 's|^[[:space:]]*\(/[^ ]*/ld[^ /]*\) (.*|\1|p')
cp -L "$loader" "$target/lib/"
cat >"$target/bin/python3" <<END
#!/bin/sh
exec $target/lib/${loader##*/} --library-path $target/lib $target/bin/$name "\$@"
END
chmod 755 "$target/bin/python3"

# apt reads the cache first. Downloads are still made by the method of the image's own distribution.
mkdir "$target/apt" "$target/apt/measured" "$target/apt/main.d"
printf '%s\n' "$method" >"$target/apt/method.py"
printf '%s\n' "$events" >"$target/apt/events.py"
run="$target/bin/python3 -I -S $target/apt"
echo "#include \"$target/apt/apt.conf\";" >"$target/apt/measured.conf"
for scheme in http https store; do
    for conf in apt measured; do
        program=$target/apt/$([ "$conf" = apt ] || echo "$conf/")$scheme
        cat >"$program" <<END
#!/bin/sh
exec $run/method.py $cache /usr/lib/apt/methods/$scheme $([ "$conf" = apt ] || echo "$log")
END
        chmod 755 "$program"
        echo "Dir::Bin::Methods::$scheme \"$program\";" >>"$target/apt/$conf.conf"
    done
done

# An image may switch off the binary caches of package lists, to stay small. Then apt reads all lists whenever it starts.
# In a build container, the caches are in a volume that is removed with it. apt reads this file after the image's
# apt.conf.d, in place of /etc/apt/apt.conf, which is included first if it exists.
cat >>"$target/apt/apt.conf" <<END
Dir::Etc::main "$target/apt/main.conf";
Dir::Ignore-Files-Silently:: "^10image\$";
END
echo "#include \"$target/apt/main.d/\";" >"$target/apt/main.conf"
ln -s /etc/apt/apt.conf "$target/apt/main.d/10image"
cat >"$target/apt/main.d/20caches" <<END
Dir::Cache::pkgcache "/var/cache/apt/pkgcache.bin";
Dir::Cache::srcpkgcache "/var/cache/apt/srcpkgcache.bin";
END

# For the profile of a run, apt and dpkg note when their phases begin.
cat >>"$target/apt/measured.conf" <<END
APT::Update::Pre-Invoke:: "$run/events.py $log note update-begins || :";
APT::Update::Post-Invoke:: "$run/events.py $log note update-ends || :";
DPkg::Pre-Invoke:: "$run/events.py $log note planned || :";
DPkg::Options:: "--status-logger=$run/events.py $log dpkg";
END

# Check that all parts can be loaded, and only from the target. "site" is off, because it adds packages of the image.
"$target/bin/python3" -I -S - "$target" <<'END'
import sys

sys.path.append(sys.argv[1] + "/lib/python3/dist-packages")
import apt, apt_inst, apt_pkg, apt.debfile, aptsources.distro, aptsources.sourceslist, debian.deb822
import asyncio, bz2, ctypes, curses, decimal, grp, hashlib, lzma, multiprocessing, pwd, readline, sqlite3, ssl, uuid
import zlib, zoneinfo

apt.Cache()
pwd.getpwall(), grp.getgrall()
with open("/proc/self/maps") as maps:
    mapped = {line.split()[-1] for line in maps if "/" in line and ".so" in line}
loaded = {path for module in sys.modules.values() if (path := getattr(module, "__file__", None) or "").startswith("/")}
foreign = sorted(path for path in mapped | loaded if not path.startswith(sys.argv[1] + "/"))
if foreign:
    sys.exit("the mounted Python loads files from outside its folder: " + ", ".join(foreign))
END
