#!/usr/bin/env bash
# Open MPI: mpirun reports an error of PMIx's ("BAD-PARAM") when a rank ends early.
#
# What it shows: under --enable-recovery a rank that leaves by _exit(3) while the other works
# makes mpirun print a line of the form
#   [host:pid] PMIX ERROR: BAD-PARAM in file .../pmix_event_notification.c at line 1033
# Where both stay nothing is printed. mpirun's event for the other ranks has a range that libpmix
# 4.2 refuses. (A rank that returns 3 after MPI_Finalize has the line printed in some runs only.)
# Why it matters: the line looks like a fault of the program's, and ranks that registered a
# handler for such events may not hear of them.
# Versions: openmpi-bin 4.1.4-3+b1, libopenmpi-dev 4.1.4-3+b1, libpmix2 4.2.2-1+deb12u1 (Debian
# 12).
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

cat >leaves.c <<'C'
#include <mpi.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int rank;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1 && argc > 1)
        _exit(3);
    sleep(3);
    if (argc == 1)
        MPI_Finalize();
    _exit(0);
}
C
mpicc.openmpi leaves.c -o leaves || exit 1

says() # ARGUMENT...
{
    timeout -k 5 300 mpirun.openmpi --oversubscribe --enable-recovery -n 2 ./leaves "$@" 2>&1 |
        grep -o 'PMIX ERROR: BAD-PARAM' | sort -u | grep . || echo nothing
}
verdict "both stay: nothing
rank 1 leaves: PMIX ERROR: BAD-PARAM" "both stay: $(says)
rank 1 leaves: $(says early)"
