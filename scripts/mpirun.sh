#!/usr/bin/env bash
# mpirun as rankpool's tests and demo use it: allowed as root, more ranks than cores, and never for
# ever.
#   TIMEOUT=seconds scripts/mpirun.sh ARGUMENTS...
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
exec timeout -k 5 "${TIMEOUT:-60}" "${MPIRUN:-mpirun}" --oversubscribe "$@"
