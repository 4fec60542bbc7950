#!/usr/bin/env bash
# A task that ends its process, in whatever way, is named and ends the job, soon; under launch it
# costs its worker, with RP_FORK its process.  What an application's own handler mends ends nothing,
# and nothing is said.
# limit: 600
# build: plain
. tests/support/shell.sh

export TIMEOUT=40
exits=$BUILD/tests/mpi/exits
host=$(hostname)
sanitized=$(nm "$exits" | grep -c '__asan_init\|__tsan_init')

on() # RANKS HOW [fork]
{
    local ranks=$1
    shift
    if [ "$ranks" = alone ]; then
        timeout -k 5 "$TIMEOUT" "$exits" "$@"
    elif [ "$ranks" = launch ]; then
        timeout -k 5 "$TIMEOUT" "$BUILD/rankpool" launch -n 4 "$exits" "$@"
    else
        scripts/mpirun.sh -n "$ranks" "$exits" "$@"
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
ends "an item of a map" 3 item "worker [12] .*$host.* called exit\(3\) in item 34 of a map of item \(number [0-9]+\): this ends the whole job\$"
[ "$sanitized" -gt 0 ] || ends "SIGFPE" 3 fpe "$(names 3)"
ends "SIGKILL" 3 kill 'exited on signal 9|signal 9'
ends "_exit()" 3 _exit '(status|code).* 4|exit'
ends "rank 0 aborts" 3 master 'signal 6|Abort'

for how in exit0 exit3 abort segv overflow; do
    case $how in segv | overflow) [ "$sanitized" = 0 ] || continue ;; esac
    for ranks in alone 1; do
        ends "$how on $ranks" $ranks $how "worker 1 .*$host.*the_culprit"
    done
done

# ---- other ways than a signal or exit()

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

says() # HOW: the words that the pool must say of it
{
    case $1 in
    finalize) echo 'called MPI_Finalize\(\) in' ;;
    mpi_abort) echo 'called MPI_Abort\(6\) in' ;;
    pthread_exit | cancel) echo 'ended its thread \(pthread_exit, or a cancel\) in' ;;
    quick_exit) echo 'called quick_exit\(\) in' ;;
    thread_exit) echo 'called exit\(5\) beside' ;;
    thread_segv) echo 'died of SIGSEGV beside' ;;
    alarm) echo 'died of SIGALRM in' ;;
    mpi_error) echo 'called MPI_Abort\([0-9]+\) in' ;;
    term) echo 'died of SIGTERM in' ;;
    exit3) echo 'called exit\(3\) in' ;;
    abort) echo 'died of SIGABRT in' ;;
    segv) echo 'died of SIGSEGV in' ;;
    esac
}

code_of() # HOW: of the task's outcome
{
    case $1 in
    mpi_abort) echo 6 ;;
    thread_exit) echo 5 ;;
    thread_segv | segv) echo 11 ;;
    alarm) echo 14 ;;
    mpi_error) echo '[0-9]+' ;;
    term) echo 15 ;;
    exit3) echo 3 ;;
    abort) echo 6 ;;
    *) echo 0 ;;
    esac
}

# One worker is its price: the task fails at once, all the others are done.
costs_a_worker() # HOW
{
    local rc
    run on launch "$1"
    if [ "$rc" != 0 ]; then
        not_ok "$1 under launch" "status $rc"
    elif ! grep -Eq "worker [123] \($host, pid [0-9]+\) $(says "$1") task the_culprit \(number 500\): this ends the worker, and the task fails" "$TMP/err"; then
        not_ok "$1 under launch" "the task is not named"
    elif ! grep -Eq "^culprit: status 33, code $(code_of "$1"), 1 starts: task the_culprit \(number 500\) crashed on worker [123] \($host\): its process .*workers left: 2" "$TMP/out"; then
        cat "$TMP/out" >>"$TMP/err"
        not_ok "$1 under launch" "it does not fail at once"
    elif ! grep -qx 'done 999, failed 1, workers lost 1' "$TMP/out"; then
        cat "$TMP/out" >>"$TMP/err"
        not_ok "$1 under launch" "it took more than its worker"
    else
        ok "$1 under launch"
    fi
}

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
[ "$sanitized" -gt 0 ] || ways="$ways thread_segv"
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

[ "$sanitized" -gt 0 ] || ways="$ways segv"
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

# The job goes on: not a word.
goes_on() # RANKS HOW
{
    local rc
    run on "$1" "$2"
    if [ "$rc" != 0 ] || ! grep -qx 'done 1000, failed 0, workers lost 0' "$TMP/out"; then
        not_ok "$2 on $1" "status $rc"
    elif grep -q 'this ends\|died of' "$TMP/err"; then
        not_ok "$2 on $1" "it is said that something ends"
    else
        ok "$2 on $1"
    fi
}

faults=fpe
[ "$sanitized" -gt 0 ] || faults="fpe segv"
for ranks in alone 3; do
    for fault in $faults; do
        goes_on $ranks "handler jumps $fault"
        goes_on $ranks "handler late jumps $fault"
        ends "handler gives_up $fault on $ranks" $ranks "handler gives_up $fault" "worker [12] .* died of SIG[FPESGV]+ in task the_culprit"
    done
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
