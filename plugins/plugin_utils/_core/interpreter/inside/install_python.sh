#!/bin/sh
# Copies the distribution's own Python, with its package-manager bindings and every library down to the C library, to a
# place of its own: it runs from there whatever becomes of the rest of the file system. Runs as root in a throw-away
# container with the base's layers.
#
# usage: interpreter.sh TARGET METHOD CACHE
#   TARGET  empty directory, under the path that it will have in build containers; TARGET/bin/python3 is the program
#   METHOD  text of apt_method.py, which TARGET/apt/apt.conf makes apt use
#   CACHE   path in build containers of what that shares between them
set -eu
umask 022

target=$1 method=$2 cache=$3
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE # packages bring their byte code along

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

# The standard library without what no module needs. Time stamps are kept: byte code is valid for one time of its
# source only.
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

# What comes with the image follows, as over SSH; what the role runs with "this Python" must be one that stays. Who
# lives longer than a module calls look_again() before each.
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

# What name services load by name, and then everything that is needed, the C library included.
libraries=$(ldd "$program" | sed -n 's|^.* => \(/[^ ]*\)/libc\.so\.6 (.*|\1|p')
{
    for each in nss_files.so.2 nss_dns.so.2 nss_compat.so.2 resolv.so.2 crypt.so.1 gcc_s.so.1; do
        ! [ -e "$libraries/lib$each" ] || echo "$libraries/lib$each"
    done
    find "$target" -name '*.so' -exec ldd "$program" {} + | sed -n 's|^.* => \(/[^ ]*\) (.*|\1|p'
} | sort -u | while read -r file; do
    cp -L "$file" "$target/lib/"
done

# The loader takes the library path as an argument, so no child process ever sees it. (An RPATH would do the same, but
# patchelf 0.18, which is Debian 13's, breaks Debian's Python, an executable at fixed addresses.)
loader=$(ldd "$program" | sed -n 's|^[[:space:]]*\(/[^ ]*/ld[^ /]*\) (.*|\1|p')
cp -L "$loader" "$target/lib/"
cat >"$target/bin/python3" <<END
#!/bin/sh
exec $target/lib/${loader##*/} --library-path $target/lib $target/bin/$name "\$@"
END
chmod 755 "$target/bin/python3"

# apt asks the cache first. Who fetches is still the method of the distribution that the image holds.
mkdir "$target/apt"
printf '%s\n' "$method" >"$target/apt/method.py"
for scheme in http https; do
    cat >"$target/apt/$scheme" <<END
#!/bin/sh
exec $target/bin/python3 -I -S $target/apt/method.py $cache /usr/lib/apt/methods/$scheme
END
    chmod 755 "$target/apt/$scheme"
    echo "Dir::Bin::Methods::$scheme \"$target/apt/$scheme\";" >>"$target/apt/apt.conf"
done

# Proof: all of it loads, and from nowhere else. Without "site", because what comes with the image is no part of it.
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
loaded = {path for each in sys.modules.values() if (path := getattr(each, "__file__", None) or "").startswith("/")}
foreign = sorted(path for path in mapped | loaded if not path.startswith(sys.argv[1] + "/"))
if foreign:
    sys.exit("the interpreter takes from elsewhere: " + ", ".join(foreign))
END
