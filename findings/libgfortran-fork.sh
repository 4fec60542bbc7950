#!/usr/bin/env bash
# libgfortran: fflush(NULL) does not flush Fortran's output; what was written before a fork comes
# twice, and what a child wrote goes with _exit.
#
# What it shows: standard output is a file. A Fortran program prints a line, calls C's
# fflush(NULL), forks; the child prints and leaves by exit(), a second child prints, calls
# fflush(NULL) and leaves by _exit(). The first line is in the file twice (three buffers had it,
# one of which was dropped); the second child's line is not there at all. libgfortran has a buffer
# of its own for each unit; only Fortran's FLUSH empties it.
# Why it matters: C code that is careful about fork, and flushes, loses and doubles what Fortran
# parts of the same program print.
# Versions: libgfortran5 12.2.0-14+deb12u1, gfortran-12 (Debian 12).
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

needs libgfortran5 12.2.0-14+deb12u1 gfortran-12 12.2.0-14+deb12u1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

cat >forks.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void says_(const int *who);

int forks_(void)
{
    static const int first = 1, second = 2;

    fflush(NULL);
    if (fork() == 0) {
        says_(&first);
        exit(0);
    }
    wait(NULL);
    if (fork() == 0) {
        says_(&second);
        fflush(NULL);
        _exit(0);
    }
    wait(NULL);
    return 0;
}
C
cat >prints.f90 <<'F'
subroutine says(who)
  integer, intent(in) :: who
  print '(a, i0)', "child ", who
end subroutine

program prints
  integer, external :: forks
  integer :: ignored
  print '(a)', "before the fork"
  ignored = forks()
end program
F
gcc -c forks.c && gfortran prints.f90 forks.o -o prints || exit 1
timeout -k 5 300 ./prints >printed
verdict "before the fork
child 1
before the fork" "$(cat printed)"
