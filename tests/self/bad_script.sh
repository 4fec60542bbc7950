#!/usr/bin/env bash
. tests/support/shell.sh
check true true
check false false
refuse true "" true
