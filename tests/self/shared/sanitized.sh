#!/usr/bin/env bash
# In a sanitized build only.
# build: sanitized
. tests/support/shell.sh
check runs true
