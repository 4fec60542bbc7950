#!/usr/bin/env bash
. tests/support/shell.sh
check true true
exit 3
