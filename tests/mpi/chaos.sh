#!/usr/bin/env bash
# Pools under rankpool launch whose workers are killed, stopped and left at random moments, over
# shared memory and tcp.
#   RUNS=n SEED=n tests/mpi/chaos.sh     by hand: n runs, from that seed on; the SEED of a failed
#                                        run repeats it
# limit: 400
# build: sanitized
. tests/support/shell.sh

needs rankpool tests/mpi/chaos

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
: "${RUNS:=10}" "${SEED:=$((RANDOM * 32768 + RANDOM + 1))}"
count=0

# Words for the program, of workers enough that one is left.
plan() # SEED; sets ranks, words, transport
{
    local left
    RANDOM=$1
    ranks=$((3 + RANDOM % 4))
    left=$((ranks - 2)) # that may be lost
    words=()
    transport=()
    spend() # WORD WORKERS-EACH
    {
        local n=$((RANDOM % (left / $2 + 1)))
        left=$((left - n * $2))
        [ $n = 0 ] || words+=("$1=$n")
    }
    spend kill 1
    spend leave 1
    spend poison 2
    spend stop 1
    [ $((RANDOM % 3)) != 0 ] || words+=(fork=1)
    [ $((RANDOM % 3)) != 0 ] || words+=(journal=1)
    [ $((RANDOM % 3)) != 0 ] || transport=(--mpirun-arg --mca --mpirun-arg btl --mpirun-arg "tcp,self")
}

play() # COMMAND...: from the beginning
{
    : >"$TMP/starts"
    rm -f "$TMP"/starts.journal*
    "$@"
}

# One job; its words and what it said when it is not as it must be, and no process left of it.
run_chaos() # NAME STATUS RANKS ARGUMENTS-OF-LAUNCH... -- WORDS...
{
    local name=$1 want=$2 mark=$$-$((++count)) rc options=()
    options=(-n "$3")
    shift 3
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    MARK=$mark run_job play timeout -k 5 120 "$BUILD/rankpool" launch "${options[@]}" "$BUILD/tests/mpi/chaos" "$seed" "$TMP/starts" "$@"
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" = 124 ] || [ "$rc" = 137 ] && [ "$want" != 137 ]; then
        not_ok "$name" "hung, or rank 0 was killed: status $rc"
    elif [ "$rc" != "$want" ]; then
        not_ok "$name" "status $rc"
    elif ! gone "$mark" 5; then
        not_ok "$name" "a process is left"
    else
        ok "$name"
    fi
    marked "$mark" | xargs -r kill -KILL
}

for ((run = 0; run < RUNS; run++)); do
    seed=$((SEED + run))
    plan $seed
    run_chaos "SEED=$seed: $ranks ranks ${transport[*]: -1} ${words[*]}" 0 $ranks "${transport[@]}" -- "${words[@]}"
done

# What chance may not have chosen.
seed=$SEED
run_chaos "half of the workers are killed, one after the other" 0 9 -- kill=4 waves=4
run_chaos "workers are killed whom large arguments are sent to over tcp" 0 5 \
    --mpirun-arg --mca --mpirun-arg btl --mpirun-arg "tcp,self" -- kill=3 waves=4
run_chaos "tasks that end their worker each time, among others" 0 6 -- poison=2
run_chaos "a worker that is stopped for a while" 0 3 -- stop=1 waves=3
run_chaos "a worker that is stopped for good" 0 4 -- deaf=1
run_chaos "no worker is left" 0 4 -- kill=3 all=1
