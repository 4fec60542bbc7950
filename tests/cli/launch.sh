#!/usr/bin/env bash
# rankpool launch always ends, with rank 0's own status, and leaves no process. The programs are
# shell scripts: no MPI in them.
# limit: 240
# build: sanitized
# shellcheck disable=SC2016 # $rank and the like are for the ranks' shells
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
rankpool=$BUILD/rankpool
count=0

# Ranks run the text as a shell script, in which $rank is theirs; rank 0's standard input is "a
# line", and in $line: it reads it to the end first, as mpirun (4.1) crashes now and then when some
# comes after rank 0's end.
launch() # OPTIONS... TEXT
{
    local text=${*: -1}
    echo "a line" | MARK=$mark timeout -k 5 40 "$rankpool" launch "${@:1:$#-1}" sh -c 'rank=$OMPI_COMM_WORLD_RANK; [ $rank != 0 ] || line=$(cat); eval "$1"' rank "$text"
}

# The status is as it must be, a message too where a pattern is given, and no process is left 5 s
# later.
ends() # NAME STATUS PATTERN OPTIONS... TEXT
{
    local name=$1 want=$2 pattern=$3
    shift 3
    mark=$$-$((++count))
    rc=0
    launch "$@" >"$TMP/out" 2>"$TMP/err" || rc=$?
    if [ $rc != "$want" ]; then
        not_ok "$name" "status $rc, not $want"
    elif [ -n "$pattern" ] && ! grep -Eq -- "$pattern" "$TMP/out" "$TMP/err"; then
        not_ok "$name" "no line like: $pattern"
    elif ! gone "$mark" 5; then
        not_ok "$name" "a process is left"
    else
        ok "$name"
    fi
}

# ---- rank 0's end

ends "status 0" 0 '' -n 3 'exit 0'
ends "status 7" 7 '' -n 3 'exit 7'
ends "status 7 of rank 0 alone" 7 '' -n 3 '[ $rank != 0 ] || exit 7'
ends "one rank" 3 '' -n 1 'exit 3'
ends "the standard input of rank 0" 0 'a line' -n 2 '[ $rank != 0 ] || echo "$line"'
ends "arguments with spaces and quotes" 0 "^<a  b><'>\$" -n 1 'set -- "a  b" "'"'"'"; printf "<%s>" "$@"; echo'

# Every rank gets the words as they are: none is mpirun's.
printf '%s\n' 'out=$1.$OMPI_COMM_WORLD_RANK' shift 'printf "%s\0" $# "$@" >"$out"' >"$TMP/words"
as_it_is() # NAME WORD...
{
    local name=$1 rc
    shift
    rm -f "$TMP"/got.*
    OMPI_COMM_WORLD_RANK=want sh "$TMP/words" "$TMP/got" "$@"
    run timeout -k 5 40 "$rankpool" launch -n 2 sh "$TMP/words" "$TMP/got" "$@"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif ! cmp "$TMP/got.want" "$TMP/got.0" >>"$TMP/err" || ! cmp "$TMP/got.want" "$TMP/got.1" >>"$TMP/err"; then
        not_ok "$name" "other words"
    else
        ok "$name"
    fi
}

as_it_is "no words"
as_it_is "mpirun's separator" a : b
as_it_is "mpirun's separator at the end" :
as_it_is "a second program, it would be" : -n 2 sh -c 'exit 9'
as_it_is "empty words" '' a '' ''
as_it_is "options of mpirun's and of launch's" -n 3 --np 3 --host x --mca a b -mca c d -x HOME -- --help --bind core
as_it_is "words of several lines, tabs, other signs" $'a\nb\n' $'\t' '"' "'" "\\" '\n' '$HOME' '`true`' '*' '%41' '%' '=' '=:' ';' '&' '~'
as_it_is "bytes that are no UTF-8" $'\xff\xfe' $'\x80' $'\x01\x1b' 'äöü€'
as_it_is "words of 100 kB" "$(head -c 100000 /dev/zero | tr '\0' x)" "$(head -c 100000 /dev/zero | tr '\0' '\377')" end
mapfile -t many < <(seq 20000)
as_it_is "20,000 words" "${many[@]}"

# Whoever starts launch may have closed some of its standard files: these are empty then.
for closed in 0 1 2 01 02 12 012; do
    (
        for file in 0 1 2; do
            case $closed in *$file*) eval "exec $file>&-" ;; esac
        done
        exec timeout -k 5 40 "$rankpool" launch -n 2 sh -c '
            read line; echo out; echo err >&2
            for file in 0 1 2; do [ -e /proc/$$/fd/$file ] || exit 3; done
            [ -z "$line" ] && exit 7'
    ) >"$TMP/out" 2>"$TMP/err" </dev/null
    rc=$?
    if [ $rc = 7 ]; then ok "started without files $closed"; else not_ok "started without files $closed" "status $rc, not 7"; fi
done

ends "rank 0 kills itself" 137 'rank 0 on .* was ended by signal 9' -n 3 '[ $rank != 0 ] || kill -KILL $$; exec sleep 60'
ends "rank 0 ends by a signal of its own" 134 'signal 6' -n 2 'ulimit -c 0; [ $rank != 0 ] || kill -ABRT $$; exec sleep 60'
ends "the watch of rank 0 is killed" 137 'rank 0 on .* was lost' -n 3 '[ $rank != 0 ] || kill -KILL $PPID; exec sleep 60'
ends "a worker dies first" 0 'done' -n 3 '[ $rank != 1 ] || kill -KILL $$; sleep 1; echo done'
ends "every worker dies" 4 'rank 2 on .* had ended .* s before rank 0' -n 3 '[ $rank = 0 ] || kill -KILL $$; sleep 2; exit 4'
ends "workers that stay are ended" 0 '2 of 3 ranks go on' -n 3 '[ $rank != 0 ] || exit 0; exec sleep 60'
ends "a worker that ignores SIGTERM" 6 '' -n 2 '[ $rank != 0 ] || exit 6; trap "" TERM; while :; do sleep 60; done'
ends "a worker that is stopped" 0 '' -n 2 '[ $rank != 0 ] || exit 0; kill -STOP $$'
ends "workers are let finish" 0 'late' --grace 20 -n 2 '[ $rank != 0 ] || exit 0; sleep 4; echo late'
ends "ranks beyond the slots" 0 '' -n 40 'exit 0'
ends "hosts by name and by number" 0 '^3$' --hosts localhost:2,127.0.0.1 'echo $OMPI_COMM_WORLD_SIZE'
ends "as many as there is room for" 0 '^0$' --hosts 'localhost:*' 'echo $rank'
ends "ranks beyond the hosts' numbers" 0 '^5$' -n 5 --hosts localhost:1 'echo $OMPI_COMM_WORLD_SIZE'
ends "what mpirun refuses" 1 'mpirun ended with status 1 before rank 0' --mpirun-arg --no-such-option -n 2 'exit 0'
ends "short messages go in boxes" 0 '^16384 [a-z,-]*$' -n 1 'echo "$OMPI_MCA_btl_vader_fbox_size $OMPI_MCA_btl_vader_flags"'
export OMPI_MCA_btl_vader_fbox_size=8192
ends "but in the user's own" 0 '^8192 ' -n 1 'echo "$OMPI_MCA_btl_vader_fbox_size $OMPI_MCA_btl_vader_flags"'
unset OMPI_MCA_btl_vader_fbox_size
unset UCX_TLS
ends "UCX shares no memory" 0 '^\^sm$' -n 1 'echo "$UCX_TLS"'
ends "unless mpirun is told so" 0 '^any$' --mpirun-arg -x --mpirun-arg UCX_TLS=any -n 1 'echo "$UCX_TLS"'
UCX_TLS=tcp,self ends "or it was the user's" 0 '^tcp,self$' -n 1 'echo "$UCX_TLS"'
ends "what mpirun's events are made with is not the program's" 0 '^none$' -n 1 'echo "${EVENT_NOEPOLL-none}"'
export EVENT_NOEPOLL=1
ends "unless it was the user's" 0 '^1$' -n 1 'echo "${EVENT_NOEPOLL-none}"'
unset EVENT_NOEPOLL

# Where a rank may run: one that is bound has fewer cores than this script.
cores='$(sed -n "s/^Cpus_allowed_list://p" /proc/self/status | tr -d "[:space:]")'
own=$(eval "echo $cores")
for count_of in 1 2 3; do
    ends "$count_of ranks on every core" 0 "^$own\$" -n $count_of '[ $rank != 0 ] || echo '"$cores"
done
if [ "$(nproc)" -gt 1 ]; then
    # A core may have several hardware threads.
    core=$(</sys/devices/system/cpu/cpu0/topology/thread_siblings_list)
    one='^[0-9]+$'
    [[ $core =~ [-,] ]] && one='^[0-9]+[-,][0-9]+$'
    ends "bound to a core" 0 "$one" --bind core -n 1 "echo $cores"
    ends "more ranks than cores, bound" 0 "$one" --bind core -n $(($(nproc) * 2 + 1)) '[ $rank != 0 ] || echo '"$cores"
    ends "bound by a word for mpirun" 0 "$one" --mpirun-arg --bind-to --mpirun-arg core -n 1 "echo $cores"
    ends "bound by mpirun's map" 0 "$one" --mpirun-arg --map-by --mpirun-arg slot:PE=1 -n 1 "echo $cores"
    export OMPI_MCA_hwloc_base_binding_policy=core
    ends "bound by the user's own setting" 0 "$one" -n 1 "echo $cores"
    unset OMPI_MCA_hwloc_base_binding_policy
fi
ends "a word for mpirun" 0 '<stdout>' --mpirun-arg --tag-output -n 1 'echo hello'

# mpirun has taken it all from the ranks, and would be killed while it waits for the reader.
late_reader()
{
    launch -n 2 'head -c 500000 /dev/zero | tr "\0" x' 2>"$TMP/late" | { sleep 7; wc -c; }
    [ "${PIPESTATUS[0]}" = 0 ]
}
mark=$$-late
run late_reader
if [ $rc = 0 ] && [ "$(cat "$TMP/out")" = 1000000 ]; then
    ok "all of the output comes to one who reads it late"
else
    not_ok "all of the output comes to one who reads it late" "status $rc, $(cat "$TMP/out") bytes"
fi

mark=$$-chld
MARK=$mark run timeout -k 5 40 env --ignore-signal=CHLD "$rankpool" launch -n 2 sh -c 'exit 7'
if [ $rc = 7 ]; then ok "started where SIGCHLD is ignored"; else not_ok "started where SIGCHLD is ignored" "status $rc, not 7"; fi
marked "$mark" | xargs -r kill -KILL

# mpirun waits until the launcher may have fewer files open than there are ranks.
mkdir "$TMP/few"
printf '#!/bin/sh\n: >%s/few/up; until [ -e %s/few/go ]; do sleep 0.1; done; exec mpirun "$@"\n' "$TMP" "$TMP" >"$TMP/few/mpirun"
chmod +x "$TMP/few/mpirun"
with_few_files()
{
    local launcher rc=0 end=$((SECONDS + 20))
    # shellcheck disable=SC2016
    MARK=$mark MPIRUN=$TMP/few/mpirun timeout -k 5 40 "$rankpool" launch -n 12 sh -c '[ $OMPI_COMM_WORLD_RANK != 0 ] || exit 7; exec sleep 60' &
    until [ -e "$TMP/few/up" ] || [ $SECONDS -ge $end ]; do sleep 0.1; done
    launcher=$(pgrep -P $! -x rankpool)
    prlimit --pid "$launcher" --nofile=14:14
    : >"$TMP/few/go"
    wait $! || rc=$?
    return $rc
}
mark=$$-few
run with_few_files
if [ $rc != 7 ]; then
    not_ok "more ranks than files that may be open" "status $rc, not 7"
elif ! gone "$mark" 5; then
    not_ok "more ranks than files that may be open" "a process is left"
else
    ok "more ranks than files that may be open"
fi
marked "$mark" | xargs -r kill -KILL

cannot() # NAME STATUS LINE PROGRAM
{
    run timeout 30 "$rankpool" launch -n 3 "$4"
    if [ "$rc" != "$2" ]; then
        not_ok "$1" "status $rc, not $2"
    elif [ "$(grep -Ec "^rankpool: $3" "$TMP/err")" != 1 ]; then
        not_ok "$1" "not said once: $3"
    else
        ok "$1"
    fi
}

: >"$TMP/plain"
cannot "a program that is not in PATH" 127 "there is no program nowhere in PATH on $(uname -n) " nowhere
cannot "a program that is not there" 127 "cannot run $TMP/nowhere on $(uname -n): No such file" "$TMP/nowhere"
cannot "a program that may not be run" 126 "cannot run $TMP/plain on $(uname -n): Permission denied" "$TMP/plain"
cannot "a directory for a program" 126 "cannot run $TMP on $(uname -n): Permission denied" "$TMP"

# ---- somebody ends it

# Starts the job in the background; $launcher is its process.
begin() # TEXT
{
    mark=$$-$((++count))
    rm -f "$TMP/ready"
    MARK=$mark READY=$TMP/ready "$rankpool" launch -n 3 sh -c 'rank=$OMPI_COMM_WORLD_RANK; eval "$1"' rank "$1" \
        >"$TMP/out" 2>"$TMP/err" </dev/null &
    launcher=$!
    local end=$((SECONDS + 30))
    until [ -e "$TMP/ready" ] || [ $SECONDS -ge $end ]; do sleep 0.1; done
}

child_of() # PID
{
    local stat rest
    for stat in /proc/[0-9]*/stat; do
        read -r rest <"$stat" || continue
        read -r _ parent _ <<<"${rest##*) }"
        [ "$parent" != "$1" ] || echo "${rest%% *}"
    done 2>/dev/null
}

ended() # NAME STATUS [LINE]: all that launch says
{
    local rc=0 said
    timeout 30 tail --pid=$launcher -s 0.1 -f /dev/null || kill -KILL $launcher
    { wait $launcher || rc=$?; } 2>/dev/null
    said=$(grep '^rankpool: ' "$TMP/err" | paste -sd';')
    if [ $rc != "$2" ]; then
        not_ok "$1" "status $rc, not $2"
    elif [ -n "${3-}" ] && [ "$said" != "rankpool: $3" ]; then
        not_ok "$1" "launch says: $said"
    elif ! gone "$mark" 5; then
        not_ok "$1" "a process is left"
    else
        ok "$1"
    fi
}

forever='[ $rank != 0 ] || : >$READY; exec sleep 60'
begin "$forever"
kill -TERM $launcher
ended "SIGTERM to launch" 143
begin "$forever"
kill -HUP $launcher
ended "SIGHUP to launch" 129
begin '[ $rank != 0 ] || { trap "exit 9" INT; : >$READY; }; while :; do sleep 0.1; done'
kill -INT $launcher
ended "SIGINT, and rank 0 has a last word" 9
begin '[ $rank != 0 ] || { trap "" TERM; : >$READY; }; trap "" TERM; while :; do sleep 0.1; done'
kill -TERM $launcher
ended "SIGTERM that every rank ignores" 137
begin '[ $rank != 0 ] || { trap "exit 11" USR1; : >$READY; }; [ $rank = 0 ] || trap "" USR1; while :; do sleep 0.1; done'
kill -USR1 $launcher
ended "SIGUSR1 goes to the ranks" 11
trap '' HUP
begin '[ $rank != 0 ] || { trap "exit 12" TERM; : >$READY; }; while :; do sleep 0.1; done'
trap - HUP
kill -HUP $launcher
kill -TERM $launcher
ended "SIGHUP where it is ignored, as under nohup" 12
begin "$forever"
kill -KILL $launcher
ended "SIGKILL to launch" 137
begin "$forever"
kill -KILL "$(child_of $launcher)"
ended "SIGKILL to mpirun" 143 'launch: mpirun was ended by signal 9 (Killed), and the job with it'
begin '[ $rank != 0 ] || { trap "exit 13" TERM; : >$READY; }; while :; do sleep 0.1; done'
kill -SEGV "$(child_of $launcher)"
ended "mpirun crashes, and rank 0 has a last word" 13 'launch: mpirun was ended by signal 11 (Segmentation fault), and the job with it'
begin '[ $rank != 0 ] || { (sleep 0.5; : >$READY) & exit 14; }; exec sleep 60'
kill -KILL "$(child_of $launcher)"
ended "SIGKILL to mpirun after the end of rank 0" 14
MPIRUN=$TMP/killed
printf '#!/bin/sh\nkill -KILL $$\n' >"$MPIRUN"
chmod +x "$MPIRUN"
export MPIRUN
begin exit
ended "SIGKILL to mpirun before rank 0 has started" 137 'launch: mpirun was ended by signal 9 (Killed) before rank 0 had started'
