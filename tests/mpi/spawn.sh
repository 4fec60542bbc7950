#!/usr/bin/env bash
# Spawned workers: how a run with them ends, and that it leaves no process.
# limit: 200
. tests/support/shell.sh

export TIMEOUT=45
spawner=$BUILD/tests/mpi/spawner

alone()
{
    timeout -k 5 "$TIMEOUT" "$spawner" "$@"
}

launched()
{
    scripts/mpirun.sh -n 1 "$spawner" "$@"
}

running() # PID
{
    local state
    state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
    [ -n "$state" ] && [ "$state" != Z ]
}

# Whether the workers named in $TMP/out, at least one, have ended within 5 s.
all_gone()
{
    local pid pids end=$((SECONDS + 5))
    mapfile -t pids < <(sed -n 's/^pid //p' "$TMP/out")
    for pid in "${pids[@]}"; do
        while running "$pid"; do
            [ $SECONDS -le $end ] || return 1
        done
    done
    [ ${#pids[@]} -gt 0 ]
}

ends() # NAME STATUS PATTERN COMMAND...: it has that status, says that, and leaves no worker
{
    local name=$1 status=$2 pattern=$3
    shift 3
    run "$@"
    if [ "$rc" != "$status" ]; then
        not_ok "$name" "status $rc, not $status"
    elif ! cat "$TMP/out" "$TMP/err" | grep -Eq -- "$pattern"; then
        not_ok "$name" "no line like: $pattern"
    elif ! all_gone; then
        not_ok "$name" "workers are left"
    else
        ok "$name"
    fi
}

ends "closed" 0 '^answer: yes' alone 2 ok
ends "closed, under mpirun" 0 '^answer: yes' launched 2 ok
ends "more workers than cores" 0 '^answer: yes' alone 9 ok
ends "not closed" 7 '^answer: yes' alone 2 unclosed
ends "not closed, under mpirun" 7 '^answer: yes' launched 2 unclosed
ends "the arguments reach workers as they are" 0 '^answer: yes' alone 1 arguments 'a b' '' $'\n'
ends "a worker may run on every core" 0 "^cores: $(nproc)\$" alone 1 cores
ends "a worker may run on every core, under mpirun" 0 "^cores: $(nproc)\$" launched 1 cores
ends "a worker may run on every core, where no binding is asked for" 0 "^cores: $(nproc)\$" env OMPI_MCA_hwloc_base_binding_policy=none "$spawner" 1 cores
siblings=$(</sys/devices/system/cpu/cpu0/topology/thread_siblings_list) # 0, or 0-1 and the like
threads=1
[[ $siblings =~ [-,] ]] && threads=2
ends "a worker is bound where the user says so" 0 "^cores: $threads\$" env OMPI_MCA_hwloc_base_binding_policy=core "$spawner" 1 cores
ends "a worker's status is not that of the run" 0 '^answer: yes' alone 1 worker-status
ends "rank 0 killed" 137 '^pid' alone 3 vanish
ends "rank 0 killed, under mpirun" 137 '^pid' launched 3 vanish
# What a broken pool leaves to MPI is left on purpose.
ends "a worker killed: the pool is broken" 0 '^apply: the pool cannot go on' alone 2 lose
cp "$TMP/out" "$TMP/lost"
check "... its end tells so" grep -q '^close: the pool cannot go on' "$TMP/lost"
check "... and the next one is not" grep -q '^answer: yes' "$TMP/lost"

refuse "a worker that ends before rp_open" 'open: rp_open: 2 workers were spawned, but did not all come .* within 5 s' alone 2 early
refuse "a worker that passes its rp_open by" 'open: rp_open: rank 1 .*: the program came to its end .* call 2 is the one' alone 1 skip
refuse "no slots" 'open: rp_open: MPI cannot spawn 64 workers.*mpirun -n 65' \
    env OMPI_MCA_rmaps_base_no_oversubscribe=1 "$spawner" 64 ok
refuse "srun without a PMI" 'open: rp_open: srun started this process' env SLURM_STEP_ID=0 "$spawner" 2 ok
