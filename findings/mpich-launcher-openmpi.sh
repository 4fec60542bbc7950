#!/usr/bin/env bash
# Open MPI and MPICH: the launcher of one starts a program of the other as N jobs of one process,
# with status 0.
#
# What it shows: "mpiexec.mpich -n 3" with a program built on Open MPI, and "mpirun -n 3" (Open
# MPI's) with one built on MPICH: each process says that it is rank 0 of 1. Neither the launcher
# nor the library has a word about it.
# Why it matters: on a machine with both, which Debian allows, a job computes everything N times,
# and N processes write the same files.
# Versions: openmpi-bin 4.1.4-3+b1, libopenmpi-dev 4.1.4-3+b1, mpich 4.0.2-3+b1, libmpich-dev
# 4.0.2-3+b1 (Debian 12).
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

needs openmpi-bin 4.1.4-3+b1 libopenmpi-dev 4.1.4-3+b1 mpich 4.0.2-3+b1 libmpich-dev 4.0.2-3+b1
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

cat >world.c <<'C'
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    int rank, size;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    printf("rank %d of %d\n", rank, size);
    MPI_Finalize();
    return 0;
}
C
mpicc.openmpi world.c -o on_openmpi && mpicc.mpich world.c -o on_mpich || exit 1

seen=$(
    echo "MPICH's launcher, Open MPI's program:"
    timeout -k 5 300 mpiexec.mpich -n 3 ./on_openmpi
    echo "status $?"
    echo "Open MPI's launcher, MPICH's program:"
    timeout -k 5 300 mpirun.openmpi --oversubscribe -n 3 ./on_mpich
    echo "status $?"
)
verdict "MPICH's launcher, Open MPI's program:
rank 0 of 1
rank 0 of 1
rank 0 of 1
status 0
Open MPI's launcher, MPICH's program:
rank 0 of 1
rank 0 of 1
rank 0 of 1
status 0" "$seen"
