#!/usr/bin/env bash
# Passes only beside one.sh.
# shellcheck disable=SC2016 # for the shell that waits
. tests/support/shell.sh
touch "$MEET/other"
check meets timeout 30 bash -c 'until [ -e "$MEET/one" ]; do sleep 0.05; done'
touch "$MEET/end"
