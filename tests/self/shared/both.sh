#!/usr/bin/env bash
# In every build.
. tests/support/shell.sh
check runs true
