#!/usr/bin/env bash
# Pools in jobs of a private SLURM with two nodes: by srun, by mpirun and by rankpool launch in a
# batch script.
# limit: 300
. tests/support/shell.sh

slurm=$TMP/slurm
scripts/slurm/up "$slurm" 2 4 >"$TMP/out" 2>"$TMP/err" || {
    rc=$?
    [ $rc = 77 ] && skip "$(tail -n 1 "$TMP/out")"
    not_ok "a private SLURM" "scripts/slurm/up: status $rc"
    exit 1
}
trap 'scripts/slurm/down "$slurm" >/dev/null 2>&1; rm -rf "$TMP"' EXIT
# shellcheck source=/dev/null
. "$slurm/env.sh"

# Runs the text as a batch script on both nodes; its output, its exit status in $rc.
batch() # TEXT
{
    local job end=$((SECONDS + 60)) state
    printf '#!/bin/bash\n%s\n' "$1" >"$TMP/script"
    job=$(sbatch --parsable --nodes=2 --ntasks-per-node=2 --output="$TMP/job.out" --error="$TMP/job.err" "$TMP/script") || return 1
    while state=$(scontrol show job "$job" | grep -oE 'JobState=[A-Z]+') && [[ $state =~ PENDING|RUNNING|COMPLETING|CONFIGURING ]]; do
        if [ $SECONDS -ge $end ]; then
            scancel "$job"
            return 124
        fi
        sleep 0.2
    done
    cat "$TMP/job.out"
    cat "$TMP/job.err" >&2
    return "$(scontrol show job "$job" | sed -n 's/.*ExitCode=\([0-9]*\):.*/\1/p')"
}

ends() # NAME STATUS COMMAND...
{
    local name=$1 want=$2 rc
    shift 2
    run "$@"
    if [ "$rc" = "$want" ]; then ok "$name"; else not_ok "$name" "status $rc, not $want"; fi
}

squares=$BUILD/examples/squares
expect "srun" src/examples/squares.expected timeout -k 5 60 srun --mpi=pmix -N2 -n4 "$squares"
expect "srun, one node" src/examples/squares.expected timeout -k 5 60 srun --mpi=pmix -N1 -n3 "$squares"
run timeout -k 5 60 srun --mpi=none -N2 -n4 "$BUILD/tests/mpi/opening" many_names
if [ "$(grep -c 'use srun --mpi=pmix, or mpirun' "$TMP/out")" = 4 ]; then
    ok "srun without PMIx"
else
    not_ok "srun without PMIx" "not every task says which launch line works"
fi
expect "mpirun in a batch job" src/examples/squares.expected batch "exec mpirun $squares"
expect "launch in a batch job" src/examples/squares.expected batch "exec $BUILD/rankpool launch $squares"
ends "the status of rank 0 is the job's" 7 batch "exec $BUILD/rankpool launch sh -c 'exit 7'"
cat >"$TMP/ranks" <<'EOF'
case $OMPI_COMM_WORLD_RANK in
0) sleep 3 && exit 5 ;;
3) kill -KILL $$ ;;
*) sleep 3 ;;
esac
EOF
ends "a rank that is killed on the other node" 5 batch "exec $BUILD/rankpool launch sh $TMP/ranks"

# Inside a step, which has all of its nodes: mpirun starts its daemons by a step of its own.
# shellcheck disable=SC2016 # for the inner shell
first='[ "$SLURM_PROCID" = 0 ] || exit 0; exec timeout -k 5 40 "$@"'
expect "launch in a step of two nodes" src/examples/squares.expected \
    timeout -k 5 60 srun -N2 -n2 sh -c "$first" sh "$BUILD/rankpool" launch -n 4 "$squares"
expect "launch in a step of one node, in a job of two" src/examples/squares.expected \
    timeout -k 5 60 salloc -N2 -n4 srun -N1 -n1 sh -c "$first" sh "$BUILD/rankpool" launch -n 4 "$squares"
run timeout -k 5 60 srun -N2 -n2 "$BUILD/rankpool" launch -n 1 true
if [ "$(grep -c 'this is task 1 of the 2 that srun has started' "$TMP/err")" = 1 ] && [ "$rc" = 0 ]; then
    ok "launch in each task of a step"
else
    not_ok "launch in each task of a step" "status $rc, or not said once that it is started twice"
fi

# When rank 0 is killed nothing that srun started outlives it by more than 5 s, whether the step is
# ended with it or goes on.
orphans() # NAME KIND SRUN-ARGUMENTS...
{
    local name=$1 kind=$2 end=$((SECONDS + 60)) mark=$$-$RANDOM file=$TMP/master job
    shift 2
    rm -f "$file"
    MARK=$mark timeout -k 5 90 srun --mpi=pmix "$@" "$BUILD/tests/mpi/orphans" "$file" "$kind" >"$TMP/out" 2>"$TMP/err" </dev/null &
    job=$!
    until [ -e "$file" ] || [ $SECONDS -ge $end ]; do sleep 0.1; done
    if ! [ -e "$file" ]; then
        not_ok "$name" "rank 0 never said that it was ready"
    else
        kill -KILL "$(cat "$file")"
        if gone "$mark" 5; then ok "$name"; else not_ok "$name" "processes are left"; fi
    fi
    kill -TERM $job 2>/dev/null
    wait $job 2>/dev/null
    marked "$mark" | xargs -r kill -KILL
}

orphans "srun: no orphans" inline -N2 -n4
orphans "srun: no orphans of tasks in processes of their own" fork -N2 -n4
orphans "srun that lets the others go on: no orphans" inline -N2 -n2 --kill-on-bad-exit=0

# There every task of the step is waited for in MPI_Finalize, the lost one too.
run timeout -k 5 60 srun --mpi=pmix -N2 -n2 --kill-on-bad-exit=0 \
    sh -c "$BUILD/tests/mpi/survivor all; echo \"task \$SLURM_PROCID: status \$?\""
if grep -q '^task 0: status 0$' "$TMP/out"; then
    ok "srun that lets the others go on: rank 0 ends after a loss, with its status"
else
    not_ok "srun that lets the others go on: rank 0 ends after a loss, with its status" "status $rc"
fi
