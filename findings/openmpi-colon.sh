#!/usr/bin/env bash
# Open MPI: no program under mpirun can have the argument ":".
#
# What it shows: mpirun takes a word ":" as its separator of programs (MPMD) wherever it stands,
# after the program's name, after "--" and quoted by the shell as well: "mpirun -n 1 ./show a :
# ./show b" starts two programs (the second one once for each slot that is left), and "mpirun -n 1
# ./show a :" starts one that has lost its last argument, with status 0. Only a longer word with a
# colon in it arrives. (One form of it does not end; it is not played here.)
# Why it matters: a program loses an argument without a word, or mpirun starts a word of its
# arguments as another program.
# Versions: openmpi-bin 4.1.4-3+b1 (Debian 12).
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

needs openmpi-bin 4.1.4-3+b1
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

cat >show <<'C'
#!/bin/sh
for each; do printf '<%s>' "$each"; done
echo
C
chmod +x show

says() # ARGUMENT...
{
    timeout -k 5 300 mpirun --oversubscribe -n 1 "$@" 2>&1 | sort -u | tr '\n' ' '
    echo "status ${PIPESTATUS[0]}"
}
verdict "a ':': <a> status 0
-- a ':': <a> status 0
'a : b': <a : b> status 0
a ':' ./show b: <a> <b> status 0" "a ':': $(says ./show a ':')
-- a ':': $(says -- ./show a ':')
'a : b': $(says ./show 'a : b')
a ':' ./show b: $(says ./show a ':' ./show b)"
