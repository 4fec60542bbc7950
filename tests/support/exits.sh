# shellcheck shell=bash
# For exits.sh and faults.sh, after shell.sh: what a task that ends its process must come to.

export TIMEOUT=40
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
exits=$BUILD/tests/mpi/exits
host=$(hostname)

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
