#!/usr/bin/env bash
# Passes only while nothing else of its directory runs.
# machine: alone
. tests/support/shell.sh
check nobody_else mkdir "$MEET/busy"
sleep 0.5
rmdir "$MEET/busy"
