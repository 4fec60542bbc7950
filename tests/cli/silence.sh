#!/usr/bin/env bash
# rankpool launch says, once, that no rank has reported within 30 s, and goes on.
# limit: 120
# build: sanitized
# shellcheck disable=SC2016 # for the inner shells
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
printf '#!/bin/sh\nsleep 36\nexec mpirun "$@"\n' >"$TMP/slow"
chmod +x "$TMP/slow"
run env MPIRUN="$TMP/slow" timeout -k 5 90 "$BUILD/rankpool" launch -n 2 sh -c '[ $OMPI_COMM_WORLD_RANK != 0 ] || exit 7'
if [ "$rc" != 7 ]; then
    not_ok "a late start" "status $rc, not 7"
elif [ "$(grep -c '^rankpool: launch: no rank has reported within 30 s' "$TMP/err")" != 1 ]; then
    not_ok "a late start" "not said once"
else
    ok "a late start"
fi

run timeout -k 5 90 "$BUILD/rankpool" launch -n 2 sh -c '[ $OMPI_COMM_WORLD_RANK != 0 ] || { sleep 31; exit 7; }; exec sleep 60'
if [ "$rc" = 7 ] && ! grep -q 'no rank has reported' "$TMP/err"; then
    ok "ranks that have started"
else
    not_ok "ranks that have started" "status $rc, not 7, or said to be silent"
fi
