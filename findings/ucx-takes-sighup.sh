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

needs libucx0 1.13.1-1 libmpich-dev 4.0.2-3+b1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

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
mpicc.mpich signals.c -o signals -ldl || exit 1
verdict "HUP libucs.so.0
ILL libucs.so.0
BUS libucs.so.0
FPE libucs.so.0
SEGV libucs.so.0
TERM default
still there after SIGHUP" "$(timeout -k 5 300 ./signals 2>/dev/null | grep -vE 'UCX +(DEBUG|TRACE|INFO)')"
