#!/usr/bin/env bash
# UCX: a process that has loaded it does not end by SIGHUP any more, and all its error signals
# have handlers, before main().
#
# What it shows: a program on MPICH (which is linked with UCX) finds in its first line of main(),
# before MPI_Init, handlers of libucs.so at SIGHUP, SIGSEGV, SIGBUS, SIGFPE and SIGILL, though it
# was started with the defaults. A SIGHUP does not end it: UCX only switches its own log to
# "debug", onto standard output (UCX_DEBUG_SIGNO).
# Why it matters: processes outlive the terminal or the ssh that they were started from; a library
# that keeps the handler that it finds, to call it later, keeps UCX's.
# Versions: libucx0 1.13.1-1, libmpich-dev 4.0.2-3+b1 (Debian 12).
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

unpack libucx0=1.13.1-1 mpich=4.0.2-3+b1 libmpich12=4.0.2-3+b1 libmpich-dev=4.0.2-3+b1 \
    libhwloc15=2.9.0-1 libslurm38=22.05.8-4+deb12u3 libgfortran5=12.2.0-14+deb12u1 \
    libquadmath0=12.2.0-14+deb12u1 libibverbs1=44.0-2 librdmacm1=44.0-2 libnl-3-200=3.7.0-0.2+b1 \
    libnl-route-3-200=3.7.0-0.2+b1 libnuma1=2.0.16-1
export CPATH=$root/usr/include/x86_64-linux-gnu/mpich LIBRARY_PATH=$lib HWLOC_PLUGINS_PATH=$lib/hwloc

cat >signals.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const int numbers[] = { SIGHUP, SIGILL, SIGBUS, SIGFPE, SIGSEGV, SIGTERM };

    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action;
        Dl_info info = { 0 };
        sigaction(numbers[i], NULL, &action);
        if (action.sa_handler == SIG_DFL)
            printf("%s default\n", sigabbrev_np(numbers[i]));
        else if (dladdr((void *)action.sa_handler, &info) && info.dli_fname)
            printf("%s %s\n", sigabbrev_np(numbers[i]), strrchr(info.dli_fname, '/') + 1);
    }
    MPI_Init(&argc, &argv);
    fflush(stdout);
    raise(SIGHUP);
    puts("still there after SIGHUP");
    fflush(stdout);
    MPI_Finalize();
    return 0;
}
C
gcc signals.c -o signals -lmpich || exit 1
verdict "HUP libucs.so.0
ILL libucs.so.0
BUS libucs.so.0
FPE libucs.so.0
SEGV libucs.so.0
TERM default
still there after SIGHUP" "$(timeout -k 5 300 ./signals 2>/dev/null | grep -vE 'UCX +(DEBUG|TRACE|INFO)')"
