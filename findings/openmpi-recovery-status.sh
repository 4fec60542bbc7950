#!/usr/bin/env bash
# Open MPI: under mpirun --enable-recovery every job has status 0.
#
# What it shows: rank 0 returns 7 from main: mpirun returns 7, with --enable-recovery 0. Rank 1
# calls MPI_Abort(MPI_COMM_WORLD, 7): 7, and 0 as well.
# Why it matters: a batch script that looks at mpirun's status takes every failed job for a good
# one.
# Versions: openmpi-bin 4.1.4-3+b1, libopenmpi-dev 4.1.4-3+b1 (Debian 12).
# Status: 0 it behaves so, 1 it behaves otherwise, 77 other versions are installed.
set -u

needs() # PACKAGE VERSION ...
{
    local have
    while [ $# -gt 1 ]; do
        have=$(dpkg-query -W -f '${Version}' "$1" 2>/dev/null)
        [ "$have" = "$2" ] || {
            echo "skip: $1 is ${have:-not installed} here: apt-get install $1=$2"
            exit 77
        }
        echo "$1 $2"
        shift 2
    done
}

# Says whether what was seen is what the head comment tells.
verdict() # EXPECTED SEEN
{
    printf 'seen:\n%s\n' "$2" | sed '2,$s/^/    /'
    [ "$1" = "$2" ] && exit 0
    printf 'this has changed; it was:\n%s\n' "$1" | sed '2,$s/^/    /'
    exit 1
}

needs openmpi-bin 4.1.4-3+b1 libopenmpi-dev 4.1.4-3+b1
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

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
mpicc ends.c -o ends || exit 1

seen=$(
    for how in returns aborts; do
        for option in --disable-recovery --enable-recovery; do
            timeout -k 5 300 mpirun --oversubscribe $option -n 2 ./ends $how >/dev/null 2>&1
            echo "$how, $option: status $?"
        done
    done
)
verdict "returns, --disable-recovery: status 7
returns, --enable-recovery: status 0
aborts, --disable-recovery: status 7
aborts, --enable-recovery: status 0" "$seen"
