#!/usr/bin/env bash
# Open MPI: the suppressions for valgrind that come with it suppress nothing of what MPI_Init and
# MPI_Finalize show.
#
# What it shows: valgrind --leak-check=full reports more than 20 errors in a program that calls
# MPI_Init_thread and MPI_Finalize and nothing else; with
# --suppressions=/usr/share/openmpi/openmpi-valgrind.supp as many (the components are unloaded
# before leaks are looked for, so that their functions have no names).
# Why it matters: the documentation (FAQ, "Is Open MPI Valgrind-clean?") names this file; an error
# of the program's is lost among the others.
# Versions: libopenmpi-dev 4.1.4-3+b1, openmpi-common 4.1.4-3, valgrind 1:3.19.0-1 (Debian 12).
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
    openmpi-common=4.1.4-3 libpmix2=4.2.2-1+deb12u1 valgrind=1:3.19.0-1 \
    libevent-core-2.1-7=2.1.12-stable-8 libevent-pthreads-2.1-7=2.1.12-stable-8 libhwloc15=2.9.0-1 \
    libmunge2=0.5.15-2+deb12u1 libc6-dbg="$(dpkg-query -W -f '${Version}' libc6)"
export OPAL_PREFIX=$root/usr OPAL_SYSCONFDIR=$root/etc/openmpi
export PMIX_LIBDIR=$lib/pmix2/lib PMIX_SYSCONFDIR=$lib/pmix2/share HWLOC_PLUGINS_PATH=$lib/hwloc
# One machine: without ssh, and without the components whose networks' libraries are not here.
export OMPI_MCA_plm=isolated OMPI_MCA_mca_base_component_show_load_errors=0
export VALGRIND_LIB=$root/usr/libexec/valgrind
# Valgrind needs ld.so's symbols, and looks for them by the library's folder.
mkdir -p "$tmp/symbols/usr/lib/x86_64-linux-gnu"
cp -l "$root"/usr/lib/debug/.build-id/*/*.debug "$tmp/symbols/usr/lib/x86_64-linux-gnu" || exit 1
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

cat >nothing.c <<'C'
#include <mpi.h>

int main(int argc, char **argv)
{
    int given;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &given);
    MPI_Finalize();
    return 0;
}
C
mpicc.openmpi -g nothing.c -o nothing || exit 1

errors() # OPTION...
{
    timeout -k 5 300 mpirun.openmpi -n 1 valgrind --extra-debuginfo-path="$tmp/symbols" \
        --leak-check=full --log-file="$tmp/log" "$@" ./nothing >/dev/null 2>&1
    sed -nE 's/.*ERROR SUMMARY: ([0-9]+) errors.*suppressed: ([0-9]+) from.*/\1 \2/p' "$tmp/log"
}

read -r without _ <<<"$(errors)"
read -r with suppressed <<<"$(errors --suppressions="$root/usr/share/openmpi/openmpi-valgrind.supp")"
echo "errors: $without without the file, $with with it, $suppressed suppressed"
verdict "more than 20 errors: yes; as many with the file: yes; suppressed: 0" \
    "more than 20 errors: $([ "${without:-0}" -gt 20 ] && echo yes || echo no); as many with the file: $(
        [ "$without" = "$with" ] && echo yes || echo no
    ); suppressed: $suppressed"
