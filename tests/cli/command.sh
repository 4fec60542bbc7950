#!/usr/bin/env bash
# The command's own words: help, version, and mistakes.
. tests/support/shell.sh

rankpool=$BUILD/rankpool

mistake() # NAME PATTERN ARGUMENTS...
{
    local name=$1 pattern=$2 rc
    shift 2
    run timeout 10 "$rankpool" "$@"
    if [ "$rc" != 2 ]; then
        not_ok "$name" "status $rc, not 2"
    elif ! grep -Eq -- "$pattern" "$TMP/err" || [ -s "$TMP/out" ]; then
        not_ok "$name" "no message like $pattern, or something on standard output"
    else
        ok "$name"
    fi
}

says() # NAME PATTERN ARGUMENTS...
{
    local name=$1 pattern=$2 rc
    shift 2
    run timeout 10 "$rankpool" "$@"
    if [ "$rc" = 0 ] && grep -Eq -- "$pattern" "$TMP/out" && ! [ -s "$TMP/err" ]; then
        ok "$name"
    else
        not_ok "$name" "status $rc, or no line like $pattern"
    fi
}

version=$(sed -n 's/^#define RP_VERSION_[A-Z]* *\([0-9]*\)$/\1/p' include/rankpool.h | paste -sd.)
says "--version" "^rankpool $version\$" --version
says "--help" '^ *launch ' --help
says "launch --help" '--hosts LIST' launch --help
mistake "no command" 'usage: rankpool'
mistake "an unknown command" 'no command fly' fly
mistake "launch without a program" 'which program' launch -n 2
mistake "launch with a bad count" 'number of ranks, not "0"' launch -n 0 true
mistake "launch with a word for a count" 'number of ranks, not "2x"' launch -n 2x true
mistake "launch with too short a host timeout" '--host-timeout wants seconds' launch --host-timeout 0.5 true
mistake "launch with too long a host timeout" '--host-timeout wants seconds' launch --host-timeout 3601 true
mistake "launch with bad seconds" '--grace wants seconds' launch --grace -1 true
mistake "launch bound to no such thing" '--bind wants none, core, .* not "desk"' launch --bind desk true
mistake "launch bound twice" '--bind core and the words for mpirun' launch --bind core --mpirun-arg --bind-to --mpirun-arg none true
mistake "launch with an empty list of hosts" '--hosts wants a list' launch --hosts '' true
for list in ',' 'h1:4,,h2' 'h1:4,' :4 ::1 'h1:4, h2:4'; do
    mistake "launch with hosts $list" "--hosts wants a list such as h1:4,h2:4, not \"$list\"" launch --hosts "$list" true
done
for count in x 0 -2 +2 2x '' 1:2 '*:2' auto 99999999999999999999; do
    mistake "launch with a host of \"$count\" ranks" "--hosts wants a number of ranks for h2, not \"${count//[*+]/.}\"" launch -n 3 --hosts "h1:3,h2:$count" true
done
mistake "launch with an unknown option" 'no option --fly' launch --fly true
mistake "launch with an option without its value" '-n wants a value' launch -n
mistake "exec-rank by hand" 'for rankpool launch' exec-rank true

MPIRUN=$TMP/nothing run timeout 10 "$rankpool" launch -n 2 true
if [ "$rc" = 127 ] && grep -q "cannot run $TMP/nothing.*Install Open MPI" "$TMP/err"; then
    ok "no mpirun"
else
    not_ok "no mpirun" "status $rc"
fi
