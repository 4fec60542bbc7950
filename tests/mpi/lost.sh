#!/usr/bin/env bash
# Workers that are killed, under a launcher that lets the others go on; and a rank 0 that is.
# limit: 240
# build: sanitized
. tests/support/shell.sh

export TIMEOUT=60
survivor=$BUILD/tests/mpi/survivor

# As README says.
recovering()
{
    scripts/mpirun.sh --enable-recovery "$@"
}

says() # NAME PATTERN COMMAND...: it ends in time, and says that
{
    local name=$1 pattern=$2
    shift 2
    run_job "$@"
    cp "$TMP/out" "$TMP/said"
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
        not_ok "$name" "still there after $TIMEOUT s"
    elif ! grep -Eq -- "$pattern" "$TMP/out"; then
        cat "$TMP/out" >>"$TMP/err"
        not_ok "$name" "no line like: $pattern"
    else
        ok "$name"
    fi
}

for seed in 1 2 3; do
    for btl in vader tcp; do
        says "2 of 3 workers killed, over $btl, seed $seed" '^2000 right, 0 lost, 0 wrong; 1 workers, 2 lost$' \
            recovering -n 4 --mca btl $btl,self "$survivor" 2000 2 $seed
        check "... and the pool was closed" grep -q '^close: fine' "$TMP/said"
    done
done
for btl in vader tcp; do
    for way in to from; do
        says "2 of 3 workers killed while 200 and 400 MiB go $way them, over $btl" '^0 wrong; 1 workers, 2 lost$' \
            recovering -n 4 --mca btl $btl,self "$BUILD/tests/mpi/loss_mid_message" $way 400
    done
done
says "every worker killed" '^wait: rp_[a-z_]*: the pool cannot go on: no worker is left' recovering -n 3 "$survivor" all

# MPI does not come back from a call: for ever, after a worker's death, and for a while.
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
held=("$BUILD/rankpool" launch -n 3 "$BUILD/tests/mpi/mpi_hang")
timeout 60 "${held[@]}" slow >"$TMP/slow" 2>&1 &
run timeout 60 "${held[@]}" killed
cp "$TMP/err" "$TMP/told"
check "MPI does not come back, and a worker was killed: rank 0 ends" test "$rc" = 1
check "... and says why" grep -Eq \
    '^rankpool: rank 0 \([^,]+, pid [0-9]+\) ends: since worker 1 \(pid [0-9]+\) on the same host has ended, MPI has not come back for 20 s' "$TMP/told"
check "MPI is away as long, and no rank has died: rank 0 goes on" wait $!

# Whether the workers named in $TMP/said, at least one, have ended within 5 s.
all_gone()
{
    local pid pids end=$((SECONDS + 5))
    mapfile -t pids < <(sed -n 's/^pid //p' "$TMP/said")
    for pid in "${pids[@]}"; do
        while [ -e "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do
            [ $SECONDS -le $end ] || return 1
        done
    done
    [ ${#pids[@]} -gt 0 ]
}

for btl in vader tcp; do
    run recovering -n 4 --mca btl $btl,self "$survivor" vanish
    cp "$TMP/out" "$TMP/said"
    cp "$TMP/err" "$TMP/told"
    check "rank 0 killed, over $btl: no worker outlives it" all_gone
    check "... and each says why" test "$(grep -c '^rankpool: worker [123] ([^,]*, pid [0-9]*): rank 0 has ended without a word' "$TMP/told")" = 3
done
