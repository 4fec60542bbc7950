#!/usr/bin/env bash
# Does not mind others, but those of its directory mind it.
. tests/support/shell.sh
check nobody_else mkdir "$MEET/busy"
sleep 0.5
rmdir "$MEET/busy"
