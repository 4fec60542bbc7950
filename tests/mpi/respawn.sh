#!/usr/bin/env bash
# Workers that are killed and replaced, under rankpool launch: on one host over both transports, on
# several, and where none can be.
# limit: 400
# build: sanitized
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
respawner=$BUILD/tests/mpi/respawner
count=0

says() # NAME PATTERN COMMAND...: it succeeds in time and says that, and none of its processes is left
{
    local name=$1 pattern=$2 mark=$$-$((++count)) rc
    shift 2
    MARK=$mark run_job timeout -k 5 120 "$@"
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif ! grep -Eq -- "$pattern" "$TMP/err"; then
        not_ok "$name" "no line like: $pattern"
    elif ! grep -q '^close: fine' "$TMP/out"; then
        not_ok "$name" "the pool was not closed well"
    elif ! gone "$mark" 5; then
        not_ok "$name" "a process is left"
    else
        ok "$name"
    fi
    marked "$mark" | xargs -r kill -KILL
}

tcp=(--mpirun-arg --mca --mpirun-arg btl --mpirun-arg "tcp,self")
says "4 kills of 3 workers, over shared memory" '^3 workers, 0 lost, 4 respawned$' \
    "$BUILD/rankpool" launch -n 4 "$respawner" 4 20 1
says "3 kills of 2 workers, over tcp" '^2 workers, 0 lost, 3 respawned$' \
    "$BUILD/rankpool" launch -n 3 "${tcp[@]}" "$respawner" 3 20 2
says "the only worker, twice" '^1 workers, 0 lost, 2 respawned$' \
    "$BUILD/rankpool" launch -n 2 "$respawner" 2 20 0
says "no more than config.respawn" '^1 workers, 2 lost, 2 respawned$' \
    "$BUILD/rankpool" launch -n 4 "$respawner" 4 2 0
says "a task that ends its worker does so no more often than it may start" '^poison: the task.s worker was lost$' \
    "$BUILD/rankpool" launch -n 2 "$respawner" poison 20
says "workers die quickly one after the other" '^storm: 400 tasks$' "$BUILD/rankpool" launch -n 4 "$respawner" storm 40
export FORK=1
says "isolated tasks" '^1 workers, 0 lost, 2 respawned$' "$BUILD/rankpool" launch -n 2 "$respawner" 2 20 0
unset FORK
says "the pool is closed while one is on the way" '^close: fine' "$BUILD/rankpool" launch -n 3 "$respawner" close 5
says "a launcher that ends all with one" '^rankpool: config.respawn has no effect: the launcher' \
    scripts/mpirun.sh -n 3 "$respawner" none 5
says "one process" '^close: fine' "$respawner" none 5

# No process can be spawned, or none comes: the others go on, and the pool says why.
cp "$respawner" "$TMP/program"
says "the program's file is gone" '^rankpool: worker 1 \([^)]*\) is not replaced: .*did not all come to rp_open within 10 s' \
    "$BUILD/rankpool" launch -n 3 "$TMP/program" gone 3
says "who is spawned first never comes: the second does" '^2 workers, 0 lost, 1 respawned$' \
    "$BUILD/rankpool" launch -n 3 "$respawner" once 3 "$TMP/came"
says "who is spawned never comes" '^rankpool: worker 1 \([^)]*\) is not replaced: .*did not all come to rp_open within 10 s' \
    "$BUILD/rankpool" launch -n 3 "$respawner" hangs 3

full=(--mpirun-arg --mca --mpirun-arg rmaps_base_no_oversubscribe --mpirun-arg 1)
no_slot='^rankpool: worker 1 \([^)]*\) is not replaced: MPI cannot spawn one .*: where every slot is taken, start the program with more slots'
says "no slot is free" "$no_slot" \
    "$BUILD/rankpool" launch -n 3 --hosts "$(hostname):3" "${full[@]}" "$respawner" full 3

cluster=$TMP/cluster
scripts/hosts up "$cluster" 3 >"$TMP/out" 2>"$TMP/err" || {
    rc=$?
    [ $rc = 77 ] && exit 0
    not_ok "three hosts" "scripts/hosts: status $rc"
    exit 1
}
trap 'scripts/hosts down "$cluster"; rm -rf "$TMP"' EXIT
says "2 kills on three hosts" '^4 workers, 0 lost, 2 respawned$' scripts/hosts run "$cluster" n0 \
    "$BUILD/rankpool" launch -n 5 --hosts n0:1,n1:2,n2:2 "$respawner" 2 20 2
on_three=(scripts/hosts run "$cluster" n0 "$BUILD/rankpool" launch -n 5 --hosts "n0:1,n1:2,n2:2")
says "no slot is free on another host" "$no_slot" "${on_three[@]}" "${full[@]}" "$respawner" full 3
(
    end=$((SECONDS + 60))
    until [ -e "$TMP/now" ] || [ $SECONDS -ge $end ]; do sleep 0.02; done
    scripts/hosts kill "$cluster" n2
) &
says "the lost workers' host is gone" "worker [34] was the last on its host \(n2\).*the program's next start has every worker again" \
    "${on_three[@]}" "$respawner" away 3 "$TMP/now"
