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
    openmpi-common=4.1.4-3 libpmix2=4.2.2-1+deb12u1 mpich=4.0.2-3+b1 libmpich12=4.0.2-3+b1 \
    libmpich-dev=4.0.2-3+b1 libucx0=1.13.1-1 libevent-core-2.1-7=2.1.12-stable-8 \
    libevent-pthreads-2.1-7=2.1.12-stable-8 libhwloc15=2.9.0-1 libmunge2=0.5.15-2+deb12u1 \
    libslurm38=22.05.8-4+deb12u3 libgfortran5=12.2.0-14+deb12u1 libquadmath0=12.2.0-14+deb12u1 \
    libibverbs1=44.0-2 librdmacm1=44.0-2 libnl-3-200=3.7.0-0.2+b1 libnl-route-3-200=3.7.0-0.2+b1 \
    libnuma1=2.0.16-1
export OPAL_PREFIX=$root/usr OPAL_SYSCONFDIR=$root/etc/openmpi
export PMIX_LIBDIR=$lib/pmix2/lib PMIX_SYSCONFDIR=$lib/pmix2/share HWLOC_PLUGINS_PATH=$lib/hwloc
export CPATH=$root/usr/include/x86_64-linux-gnu/mpich LIBRARY_PATH=$lib
# One machine: without ssh, and without the components whose networks' libraries are not here.
export OMPI_MCA_plm=isolated OMPI_MCA_mca_base_component_show_load_errors=0
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

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
mpicc.openmpi world.c -o on_openmpi && gcc world.c -o on_mpich -lmpich || exit 1

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
