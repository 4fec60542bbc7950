#!/usr/bin/env bash
# A task that ends its process by a bad pointer, a full stack or a bad division: where a sanitizer's
# own report does not stand in for ours.
# limit: 300
# build: plain
. tests/support/shell.sh
. tests/support/exits.sh

for ranks in 2 4; do
    pattern=$(names $ranks)
    ends "a bad pointer on $ranks" $ranks segv "SIGSEGV.*the_culprit|$pattern.*SIGSEGV"
    ends "a stack overflow on $ranks" $ranks overflow "$pattern"
done
# Open MPI's own words of it are still right.
ends "where a bad pointer points" 2 segv 'Failing at address: 0x10$'
ends "SIGFPE" 3 fpe "$(names 3)"
for how in segv overflow; do
    for ranks in alone 1; do
        ends "$how on $ranks" $ranks $how "worker 1 .*$host.*the_culprit"
    done
done
ends "thread_segv on 3" 3 thread_segv "worker [12] \($host, pid [0-9]+\) $(says thread_segv) task the_culprit \(number 500\): this ends the whole job\$"
for how in thread_segv segv; do
    costs_a_worker $how
done

# The application's own handler.
for ranks in alone 3; do
    goes_on $ranks "handler jumps segv"
    goes_on $ranks "handler late jumps segv"
    ends "handler gives_up segv on $ranks" $ranks "handler gives_up segv" "worker [12] .* died of SIGSEGV in task the_culprit"
done
