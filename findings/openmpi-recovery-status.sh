#!/usr/bin/env bash
# Open MPI: under mpirun --enable-recovery every job has status 0.
#
# What it shows: rank 0 returns 7 from main: mpirun returns 7, with --enable-recovery 0. Rank 1
# calls MPI_Abort(MPI_COMM_WORLD, 7): 7, and 0 as well.
# Why it matters: a batch script that looks at mpirun's status takes every failed job for a good
# one.
# Versions: openmpi-bin 4.1.4-3+b1, libopenmpi-dev 4.1.4-3+b1 (Debian 12).
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

cat >ends.c <<'C'
#include <mpi.h>

int main(int argc, char **argv)
{
    int rank;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1 && argv[1][0] == 'a')
        MPI_Abort(MPI_COMM_WORLD, 7);
    MPI_Finalize();
    return rank == 0 ? 7 : 0;
}
C
mpicc.openmpi ends.c -o ends || exit 1

seen=$(
    for how in returns aborts; do
        for option in --disable-recovery --enable-recovery; do
            timeout -k 5 300 mpirun.openmpi --oversubscribe $option -n 2 ./ends $how >/dev/null 2>&1
            echo "$how, $option: status $?"
        done
    done
)
verdict "returns, --disable-recovery: status 7
returns, --enable-recovery: status 0
aborts, --disable-recovery: status 7
aborts, --enable-recovery: status 0" "$seen"
