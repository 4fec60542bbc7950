#!/usr/bin/env bash
# Open MPI: mpirun binds one or two ranks to a core each, more than two not: OpenMP has one thread
# with 2 ranks, and more with 3.
#
# What it shows: sched_getaffinity and omp_get_max_threads in each rank, for 1, 2 and 3 ranks on a
# machine of several cores. With 1 and 2 ranks both are 1 (2 where a core has two hardware
# threads), with 3 ranks, which are bound to a socket, they are the socket's, and with --bind-to
# none the machine's.
# Why it matters: a program whose tasks use OpenMP, OpenBLAS or make -j is slow when it is tried
# with two ranks, and fast with three.
# Versions: openmpi-bin 4.1.4-3+b1, libgomp1 12.2.0-14+deb12u1 (Debian 12).
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
    openmpi-common=4.1.4-3 libpmix2=4.2.2-1+deb12u1 libgomp1=12.2.0-14+deb12u1 \
    libevent-core-2.1-7=2.1.12-stable-8 libevent-pthreads-2.1-7=2.1.12-stable-8 libhwloc15=2.9.0-1 \
    libmunge2=0.5.15-2+deb12u1
export OPAL_PREFIX=$root/usr OPAL_SYSCONFDIR=$root/etc/openmpi
export PMIX_LIBDIR=$lib/pmix2/lib PMIX_SYSCONFDIR=$lib/pmix2/share HWLOC_PLUGINS_PATH=$lib/hwloc
# One machine: without ssh, and without the components whose networks' libraries are not here.
export OMPI_MCA_plm=isolated OMPI_MCA_mca_base_component_show_load_errors=0
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
[ "$(nproc)" -ge 2 ] || {
    echo "skip: this machine has one core"
    exit 77
}

cat >threads.c <<'C'
#define _GNU_SOURCE
#include <omp.h>
#include <sched.h>
#include <stdio.h>

int main(void)
{
    cpu_set_t set;

    sched_getaffinity(0, sizeof set, &set);
    printf("%d %d\n", CPU_COUNT(&set), omp_get_max_threads());
    return 0;
}
C
gcc -fopenmp threads.c -o threads || exit 1
unset OMP_NUM_THREADS

# Of a core's hardware threads all are a rank's.
per_core=$(tr -s ',-' '\n' </sys/devices/system/cpu/cpu0/topology/thread_siblings_list | wc -l)
seen=$(
    for ranks in 1 2 3; do
        timeout -k 5 300 mpirun.openmpi --host localhost:3 -n $ranks ./threads | while read -r cpus threads; do
            if [ "$cpus" = "$threads" ] && [ "$cpus" -gt "$per_core" ]; then echo "$ranks ranks: several cores"
            elif [ "$cpus" = "$threads" ]; then echo "$ranks ranks: one core"; fi
        done | sort -u
    done
    timeout -k 5 300 mpirun.openmpi --host localhost:3 --bind-to none -n 2 ./threads | sort -u | {
        read -r cpus threads
        [ "$cpus" = "$(nproc)" ] && [ "$threads" = "$cpus" ] && echo "2 ranks, --bind-to none: the machine"
    }
)
verdict "1 ranks: one core
2 ranks: one core
3 ranks: several cores
2 ranks, --bind-to none: the machine" "$seen"
