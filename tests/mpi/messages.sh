#!/usr/bin/env bash
# One kind of trouble at a time: what comes of it, and that a person who reads what the pool says
# knows what died, where, what was lost, what was done about it, and what to do next.
# limit: 400
# build: sanitized
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
count=0
who='worker [0-9]+ \([^,]+, pid [0-9]+\)'

# The program ends well, leaves no process, and every pattern has its line.
trouble() # NAME RANKS WORDS... -- PATTERNS...
{
    local name=$1 ranks=$2 mark=$$-$((++count)) words=() rc pattern
    shift 2
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    shift
    MARK=$mark run_job timeout -k 5 150 "$BUILD/rankpool" launch -n "$ranks" "$BUILD/tests/mpi/messages" "${words[@]}"
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
        return
    fi
    for pattern; do
        grep -Eq -- "$pattern" "$TMP/err" && continue
        not_ok "$name" "no line like: $pattern"
        return
    done
    if gone "$mark" 5; then ok "$name"; else not_ok "$name" "a process is left"; fi
    marked "$mark" | xargs -r kill -KILL
}

trouble "a worker is killed" 3 lost -- \
    "^rankpool: worker 1 \([^,]+, pid [0-9]+\) is lost: its process has ended, or its host cannot be reached; of the tasks it had 1 start again and 0 end as lost; workers left: 1\$"
trouble "tasks that call exit()" 6 exits -- \
    "^rankpool: $who called exit\(4\) in task leaves \(number [0-3]\): this ends the worker, and the task fails; the others go on; isolation = RP_FORK spares the worker, where tasks use no MPI\$" \
    "is lost: its process called exit\(4\) in a task, which fails; of the others it had [0-9]+ start again and 0 end as lost" \
    "^outcome: .*task leaves \(number 0\) crashed on worker 1 \(.*pid [0-9]+\) called exit\(4\), and was the worker; workers left: [0-9]+; isolation = RP_FORK"
: >"$TMP/starts"
trouble "tasks that may start once" 3 once "$TMP/starts" -- \
    "^outcome: .*task once \(number [0-9]+\) was lost on worker 1 \(.*the task may have been running, and options.attempts = 1 allows no start more" \
    "is lost: .* of the tasks it had 0 start again and [1-4] end as lost"
trouble "a task that ends its worker each time" 5 poison -- \
    "^outcome: .*task kills \(number 100\) was lost on worker [0-9]+ \(.*started 2 times, and each time its worker was lost: before that worker [0-9].* RP_FORK .* options.attempts allows more starts"
trouble "an item that ends its worker each time" 6 item -- '^outcome: item 37 of a map of kills .*lost on worker'
trouble "a task that crashes" 3 crash -- "^outcome: .*task crashes .* on worker [0-9]+ \(.*pid [0-9]+.*SIGABRT.*the last words"
trouble "no worker is left" 3 none -- \
    "^outcome: rp_wait: the pool cannot go on: no worker is left; $who was the last\..*run the program again, with config.journal"
trouble "a worker is stopped for less than lost_after" 3 paused --
silent='it was not heard of for 0.3 s \(config.lost_after\), stopped, hung or cut off'
trouble "a worker is stopped for longer" 3 hung -- \
    "^rankpool: worker 1 \([^,]+, pid [0-9]+\) is given up, .*: $silent; of the tasks it had .* 1 end as lost; workers left: 1" \
    "^rankpool: worker 1 \([^,]+, pid [0-9]+\): rank 0 has ended without a word, or cannot be reached: this worker ends"
for ranks in 2 3; do
    trouble "a worker of $((ranks - 1)) is silent at the end" $ranks left -- \
        "^rankpool: worker 1 \([^,]+, pid [0-9]+\) is given up, .*: $silent;"
done
trouble "a rank that is no worker is silent at the end" 4 spectator "$TMP/trace" -- \
    "^rankpool: rank 3 \([^)]+\), which is no worker of this pool, is given up, .*: $silent;"

forged() # NAME WAY PATTERN
{
    trouble "a worker sends $1" 4 forge "$2" -- "^rankpool: $who is given up, .*: .*$3.*; of the tasks it had .* workers left: 2"
}

forged "less than a header" s 'shorter than its header'
forged "half a batch" c 'its size is not what it says'
forged "a batch of no kind" k 'its kind is unknown'
forged "another version" v 'protocol version 3, this rank speaks 2'
forged "too few frames" f '(cut off|after|damaged)'
forged "a payload without end" p '(cut off|longer|damaged)'
forged "tasks" t 'a worker sends results only'
forged "something after its frames" b '(after its frames|damaged)'
forged "goodbye before the end" g 'a worker sends results only'
forged "more than a batch can hold" l 'shorter than its header'
forged "anything" x '(damaged|protocol)'
forged "half of a large result" S 'shorter than its header'
forged "more than a large result" L 'shorter than its header'
