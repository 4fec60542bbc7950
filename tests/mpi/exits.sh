#!/usr/bin/env bash
# A task that ends its process ends the job, soon, and is named.
# limit: 120
. tests/support/shell.sh

export TIMEOUT=15
exits=$BUILD/tests/mpi/exits
host=$(hostname)
sanitized=$(nm "$exits" | grep -c '__asan_init\|__tsan_init')

on() # RANKS HOW
{
    if [ "$1" = alone ]; then
        timeout -k 5 "$TIMEOUT" "$exits" "$2"
    else
        scripts/mpirun.sh -n "$1" "$exits" "$2"
    fi
}

# Fails, and says on standard error what must be said, in one line.
ends() # NAME RANKS HOW PATTERN
{
    local rc
    run on "$2" "$3"
    if [ "$rc" = 0 ]; then
        not_ok "$1" "status 0"
    elif [ "$rc" = 124 ] || [ "$rc" = 137 ] && [ "$3" != kill ]; then
        not_ok "$1" "still there after $TIMEOUT s"
    elif ! grep -Eq -- "$4" "$TMP/err"; then
        not_ok "$1" "no line like: $4"
    else
        ok "$1"
    fi
}

names() # RANKS
{
    local worker=$(($1 - 1))
    [ "$1" = 2 ] || worker='[0-9]+'
    echo "worker $worker .*$host.*the_culprit"
}

for ranks in 2 4; do
    pattern=$(names $ranks)
    ends "exit(0) on $ranks" $ranks exit0 "$pattern"
    ends "exit(3) on $ranks" $ranks exit3 "$pattern"
    ends "abort() on $ranks" $ranks abort "$pattern"
    # a sanitizer's own report stands in for ours
    [ "$sanitized" -gt 0 ] || ends "a bad pointer on $ranks" $ranks segv "SIGSEGV.*the_culprit|$pattern.*SIGSEGV"
    [ "$sanitized" -gt 0 ] || ends "a stack overflow on $ranks" $ranks overflow "$pattern"
done
# Open MPI's own words of it are still right.
[ "$sanitized" -gt 0 ] || ends "where a bad pointer points" 2 segv 'Failing at address: 0x10$'
ends "an item of a map" 3 item "worker [12] .*$host.* called exit\(\) in item 34 of a map of item \(number [0-9]+\): this ends the whole job\$"
ends "SIGFPE" 3 fpe "$(names 3)"
ends "SIGKILL" 3 kill 'exited on signal 9|signal 9'
ends "_exit()" 3 _exit '(status|code).* 4|exit'
ends "rank 0 aborts" 3 master 'signal 6|Abort'

for how in exit0 exit3 abort segv overflow; do
    case $how in segv | overflow) [ "$sanitized" = 0 ] || continue ;; esac
    for ranks in alone 1; do
        ends "$how on $ranks" $ranks $how "worker 1 .*$host.*the_culprit"
    done
done

# Rank 0 leaves main with a pool that is open.
for ranks in alone 2; do
    run on $ranks leave
    if [ "$rc" != 0 ]; then
        not_ok "a pool left open on $ranks" "status $rc"
    elif ! grep -Eq "a pool that was not closed: [0-9]+ of its tasks are dropped; rp_close waits" "$TMP/err"; then
        not_ok "a pool left open on $ranks" "nothing says so"
    else
        ok "a pool left open on $ranks"
    fi
done
