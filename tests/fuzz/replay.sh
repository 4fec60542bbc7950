#!/usr/bin/env bash
# Every fuzz target takes the committed inputs, and what an honest peer says is among them.
# limit: 120
. tests/support/shell.sh
for target in "$BUILD"/tests/fuzz/fuzz_*[!.od]; do
    name=$(basename "$target")
    check "$name" "$target" "tests/fuzz/corpus/$name"
done
