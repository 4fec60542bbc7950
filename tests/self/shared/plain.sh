#!/usr/bin/env bash
# In a plain build only.
# build: plain
. tests/support/shell.sh
check runs true
