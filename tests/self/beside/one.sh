#!/usr/bin/env bash
# Passes only beside other.sh, and ends after it.
# shellcheck disable=SC2016 # for the shell that waits
. tests/support/shell.sh
touch "$MEET/one"
check meets timeout 30 bash -c 'until [ -e "$MEET/other" ]; do sleep 0.05; done'
check ends_last timeout 30 bash -c 'until [ -e "$MEET/end" ]; do sleep 0.05; done'
sleep 0.2
