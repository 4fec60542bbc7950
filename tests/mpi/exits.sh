#!/usr/bin/env bash
# A task that ends its process, in whatever way, is named and ends the job, soon; under launch it
# costs its worker, with RP_FORK its process.  What an application's own handler mends ends nothing,
# and nothing is said.
# limit: 600
# build: sanitized
. tests/support/shell.sh
. tests/support/exits.sh

for ranks in 2 4; do
    pattern=$(names $ranks)
    ends "exit(0) on $ranks" $ranks exit0 "$pattern"
    ends "exit(3) on $ranks" $ranks exit3 "$pattern"
    ends "abort() on $ranks" $ranks abort "$pattern"
done
ends "an item of a map" 3 item "worker [12] .*$host.* called exit\(3\) in item 34 of a map of item \(number [0-9]+\): this ends the whole job\$"
ends "SIGKILL" 3 kill 'exited on signal 9|signal 9'
ends "_exit()" 3 _exit '(status|code).* 4|exit'
ends "rank 0 aborts" 3 master 'signal 6|Abort'

for how in exit0 exit3 abort; do
    for ranks in alone 1; do
        ends "$how on $ranks" $ranks $how "worker 1 .*$host.*the_culprit"
    done
done

# ---- other ways than a signal or exit()

# Its process is the price, as often as the task may start.
costs_a_process() # RANKS HOW WORDS
{
    local rc
    run on "$1" "$2" fork
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" != 0 ]; then
        not_ok "$2 in a process of its own, on $1" "status $rc"
    elif ! grep -Eq "^culprit: status 33, code [0-9]+, 3 starts: task the_culprit .*$3" "$TMP/out" ||
        ! grep -qx 'done 999, failed 1, workers lost 0' "$TMP/out"; then
        not_ok "$2 in a process of its own, on $1" "no outcome like: $3"
    else
        ok "$2 in a process of its own, on $1"
    fi
}

ways="finalize mpi_abort mpi_error pthread_exit cancel quick_exit thread_exit alarm term"
for how in $ways; do
    ends "$how on 3" 3 "$how" "worker [12] \($host, pid [0-9]+\) $(says "$how") task the_culprit \(number 500\): this ends the whole job\$"
done
for how in mpi_abort pthread_exit cancel quick_exit alarm; do
    ends "$how alone" alone $how "worker 1 \($host, pid [0-9]+\) $(says "$how") task the_culprit \(number 500\): this ends the whole job\$"
done
ends "MPI_Finalize where there is no MPI" alone finalize 'MPI_Finalize'
ends "another thread's exit() alone" alone thread_exit 'its tasks are dropped'

for how in exit finalize pthread_exit quick_exit; do
    ends "a finalizer: $how" 3 "finalizer $how" "worker [12] \($host, pid [0-9]+\) (called|ended) .* in its finalizer: this ends the whole job\$"
done

for how in $ways exit3 abort; do
    costs_a_worker "$how"
done

for ranks in alone 3; do
    costs_a_process $ranks mpi_abort 'exited with status 6 .*called MPI_Abort\(6\) in task the_culprit'
    costs_a_process $ranks pthread_exit 'exited with status 1 .*ended its thread'
    costs_a_process $ranks quick_exit 'exited with status 7'
    costs_a_process $ranks thread_exit 'exited with status 5'
done
costs_a_process 1 mpi_error 'exited with status [1-9].*called MPI_Abort\([0-9]+\) in task the_culprit'
costs_a_process 3 mpi_error 'exited with status [1-9].*called MPI_Abort\([0-9]+\) in task the_culprit'
costs_a_process 3 finalize 'exited with status 1 .*called MPI_Finalize\(\) in task the_culprit'

# ---- the application's own handlers

for ranks in alone 3; do
    goes_on $ranks "handler jumps fpe"
    goes_on $ranks "handler late jumps fpe"
    ends "handler gives_up fpe on $ranks" $ranks "handler gives_up fpe" "worker [12] .* died of SIGFPE in task the_culprit"
    goes_on $ranks "handler comes_back once"
    goes_on $ranks "handler comes_back"
done
goes_on alone "handler ignores" # Open MPI puts a handler of its own in the place of SIG_IGN

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
