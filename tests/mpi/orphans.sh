#!/usr/bin/env bash
# When rank 0 is killed nothing that a job started outlives it by more than 5 s: no worker, child or
# grandchild.
# limit: 120
# build: sanitized
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
count=0

# Starts the job, kills rank 0, and waits for all that carries the mark.  FORKED=fork: tasks run in
# processes of their own.
killed() # NAME STATUS COMMAND...
{
    local name=$1 want=$2 end=$((SECONDS + 30)) rc=0 job mark=$$-$((++count)) file=$TMP/master
    shift 2
    rm -f "$file"
    MARK=$mark timeout -k 5 60 "$@" "$BUILD/tests/mpi/orphans" "$file" "${FORKED:-}" >"$TMP/out" 2>"$TMP/err" </dev/null &
    job=$!
    until [ -e "$file" ] || [ $SECONDS -ge $end ]; do sleep 0.1; done
    if ! [ -e "$file" ]; then
        not_ok "$name" "rank 0 never said that it was ready"
    else
        kill -KILL "$(cat "$file")"
        if gone "$mark" 5; then
            wait $job || rc=$?
            if [ $rc = "$want" ]; then ok "$name"; else not_ok "$name" "status $rc, not $want"; fi
            return
        fi
        not_ok "$name" "processes are left"
    fi
    kill -TERM $job 2>/dev/null
    marked "$mark" | xargs -r kill -KILL
    wait $job 2>/dev/null
}

killed "mpirun" 137 mpirun --oversubscribe -n 4
killed "mpirun, recovery" 0 mpirun --oversubscribe --enable-recovery -n 4
killed "mpirun, over tcp" 137 mpirun --oversubscribe --mca btl tcp,self -n 4
killed "launch" 137 "$BUILD/rankpool" launch -n 4
killed "launch, over tcp" 137 "$BUILD/rankpool" launch --mpirun-arg --mca --mpirun-arg btl --mpirun-arg tcp,self -n 4
FORKED=fork killed "mpirun, tasks in processes of their own" 137 mpirun --oversubscribe -n 4
FORKED=fork killed "launch, tasks in processes of their own" 137 "$BUILD/rankpool" launch -n 4
