#!/usr/bin/env bash
# Open MPI: no program under mpirun can have the argument ":".
#
# What it shows: mpirun takes a word ":" as its separator of programs (MPMD) wherever it stands,
# after the program's name, after "--" and quoted by the shell as well: "mpirun -n 1 ./show a :
# ./show b" starts two programs (the second one once for each slot that is left), and "mpirun -n 1
# ./show a :" starts one that has lost its last argument, with status 0. Only a longer word with a
# colon in it arrives. (One form of it does not end; it is not played here.)
# Why it matters: a program loses an argument without a word, or mpirun starts a word of its
# arguments as another program.
# Versions: openmpi-bin 4.1.4-3+b1 (Debian 12).
# Status: 0 it behaves so, 1 it behaves otherwise, 77 apt-get does not have these versions.
set -u

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
lib=$root/usr/lib/x86_64-linux-gnu

# Unpacks packages into $root, from where they run; nothing is installed.
unpack() # PACKAGE=VERSION ...
{
    local file

    mkdir "$tmp/debs" && cd "$tmp/debs" || exit 1
    apt-get -qq download "${@/=/:amd64=}" 2>errors || {
        echo "skip: apt-get cannot download this (on Debian 12, amd64, it can, after apt-get update):"
        sed -nE 's/^E: ((Version|Unable to locate).*)/    \1/p' errors
        exit 77
    }
    for file in *.deb; do
        dpkg -x "$file" "$root" || exit 1
    done
    cd "$tmp" || exit 1
    echo "unpacked: $*"
    export PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$lib:$root/lib/x86_64-linux-gnu
}

# Says whether what was seen is what the head comment tells.
verdict() # EXPECTED SEEN
{
    printf 'seen:\n%s\n' "$2" | sed '2,$s/^/    /'
    [ "$1" = "$2" ] && exit 0
    printf 'this has changed; it was:\n%s\n' "$1" | sed '2,$s/^/    /'
    exit 1
}

unpack openmpi-bin=4.1.4-3+b1 libopenmpi3=4.1.4-3+b1 libopenmpi-dev=4.1.4-3+b1 \
    openmpi-common=4.1.4-3 libpmix2=4.2.2-1+deb12u1 libevent-core-2.1-7=2.1.12-stable-8 \
    libevent-pthreads-2.1-7=2.1.12-stable-8 libhwloc15=2.9.0-1 libmunge2=0.5.15-2+deb12u1
export OPAL_PREFIX=$root/usr OPAL_SYSCONFDIR=$root/etc/openmpi
export PMIX_LIBDIR=$lib/pmix2/lib PMIX_SYSCONFDIR=$lib/pmix2/share HWLOC_PLUGINS_PATH=$lib/hwloc
# One machine: without ssh, and without the components whose networks' libraries are not here.
export OMPI_MCA_plm=isolated OMPI_MCA_mca_base_component_show_load_errors=0
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

cat >show <<'C'
#!/bin/sh
for each; do printf '<%s>' "$each"; done
echo
C
chmod +x show

says() # ARGUMENT...
{
    timeout -k 5 300 mpirun.openmpi --oversubscribe -n 1 "$@" 2>&1 | sort -u | tr '\n' ' '
    echo "status ${PIPESTATUS[0]}"
}
verdict "a ':': <a> status 0
-- a ':': <a> status 0
'a : b': <a : b> status 0
a ':' ./show b: <a> <b> status 0" "a ':': $(says ./show a ':')
-- a ':': $(says -- ./show a ':')
'a : b': $(says ./show 'a : b')
a ':' ./show b: $(says ./show a ':' ./show b)"
