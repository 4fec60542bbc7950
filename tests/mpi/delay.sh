#!/usr/bin/env bash
# What lost workers and lost hosts cost in time, from the begin of a job's work to the job's end: no more than the repeated work and 3 s. The work keeps no more workers busy
# than are left, and the same work undisturbed is measured first. A cut cable sends no sign, and it takes 3 s without an answer to see it: these are added.
# limit: 120
# machine: alone
. tests/support/shell.sh

needs rankpool tests/mpi/rounds

without_leaks
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
rounds=$BUILD/tests/mpi/rounds
count=10
task=200 # milliseconds; a task may be lost among others and again alone: twice
again=$((2 * task))

# Milliseconds from the begin of the work, as the program tells, to the command's end, in $took.
timed() # COMMAND...
{
    local began
    run "$@"
    began=$(sed -n 's/^began \([0-9]*\)\.\([0-9]*\)$/\1\2/p' "$TMP/out")
    [ -n "$began" ] || rc="$rc, and no work began"
    took=$(((${EPOCHREALTIME/./} - ${began:-0}) / 1000))
}

undisturbed() # NAME COMMAND...
{
    local name=$1
    shift
    timed "$@"
    quiet=$took
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif ! grep -q ' 0 tasks started again$' "$TMP/out"; then
        not_ok "$name" "$(tail -n 1 "$TMP/out")"
    else
        ok "$name: $quiet ms; $(tail -n 1 "$TMP/out")"
    fi
}

costs() # NAME MILLISECONDS TASKS COMMAND...: beside the repeated work; TASKS: at least so many are started again
{
    local name=$1 more=$2 tasks=$3 started_again
    shift 3
    timed "$@"
    started_again=$(sed -n 's/.* \([0-9]*\) tasks started again$/\1/p' "$TMP/out")
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif [ "${started_again:-0}" -lt "$tasks" ]; then
        not_ok "$name" "only ${started_again:-0} tasks were started again"
    elif [ $took -gt $((quiet + again + more)) ]; then
        not_ok "$name" "it took $took ms, undisturbed $quiet ms: more than $again ms of work done again and $more ms"
    else
        ok "$name: $took ms, undisturbed $quiet ms; $(tail -n 1 "$TMP/out")"
    fi
}

local_job() # WORDS...
{
    timeout -k 5 60 "$BUILD/rankpool" launch -n 5 "$rounds" $count $task "$@" 3 4
}
undisturbed "one host" local_job "$TMP/nothing"
costs "one host, two workers killed" 3000 2 local_job kill

three_hosts
hosts_job() # WORDS...
{
    timeout -k 5 60 scripts/hosts run "$cluster" n0 "$BUILD/rankpool" launch -n 5 --hosts n0:1,n1:2,n2:2 \
        "$rounds" $count $task "$TMP/now" 3 4
}
with_fault() # FAULT
{
    rm -f "$TMP/now"
    (
        end=$((SECONDS + 30))
        until [ -e "$TMP/now" ] || [ $SECONDS -ge $end ]; do sleep 0.02; done
        scripts/hosts "$1" "$cluster" n2
    ) &
    hosts_job
}
undisturbed "three hosts" hosts_job
costs "three hosts, one dies" 3000 2 with_fault kill
costs "three hosts, one has its cable cut" 6000 2 with_fault cut
