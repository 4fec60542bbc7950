#!/usr/bin/env bash
# CVODE (SUNDIALS): before a pole every call says "too much work so far", and the time stands
# still.
#
# What it shows: y' = 1 / (1 - t) from 0 to 2, BDF, tolerances of 1e-10. The manual's way to go on
# after CV_TOO_MUCH_WORK is to call CVode again. 2,000 calls in a row, of 500 steps each, return
# it; the time they return stays where it was in all but some 50 of them, just before t = 1.
# Neither CV_ERR_FAILURE nor CV_CONV_FAILURE is ever returned.
# Why it matters: a loop that goes on as the manual says never ends: it needs a limit of time, or
# has to compare the times.
# Versions: libsundials-dev 6.4.1+dfsg1-3 (Debian 12).
# Status: 0 it behaves so, 1 it behaves otherwise, 77 apt-get does not have these versions.
set -u

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
lib=$root/usr/lib/x86_64-linux-gnu

# Unpacks packages into $root, from where they run; nothing is installed.
unpack() # PACKAGE=VERSION ...
{
    local file

    mkdir "$tmp/debs" && cd "$tmp/debs" || exit 1
    apt-get -qq download "${@/=/:amd64=}" 2>errors || {
        echo "skip: apt-get cannot download this (on Debian 12, amd64, it can, after apt-get update):"
        sed -nE 's/^E: ((Version|Unable to locate).*)/    \1/p' errors
        exit 77
    }
    for file in *.deb; do
        dpkg -x "$file" "$root" || exit 1
    done
    cd "$tmp" || exit 1
    echo "unpacked: $*"
    export PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$lib:$root/lib/x86_64-linux-gnu
}

# Says whether what was seen is what the head comment tells.
verdict() # EXPECTED SEEN
{
    printf 'seen:\n%s\n' "$2" | sed '2,$s/^/    /'
    [ "$1" = "$2" ] && exit 0
    printf 'this has changed; it was:\n%s\n' "$1" | sed '2,$s/^/    /'
    exit 1
}

unpack libsundials-dev=6.4.1+dfsg1-3 libsundials-cvode6=6.4.1+dfsg1-3 \
    libsundials-nvecserial6=6.4.1+dfsg1-3 libsundials-sunmatrix4=6.4.1+dfsg1-3 \
    libsundials-sunlinsol3=6.4.1+dfsg1-3
export CPATH=$root/usr/include LIBRARY_PATH=$lib

cat >pole.c <<'C'
#include <cvode/cvode.h>
#include <nvector/nvector_serial.h>
#include <stdio.h>
#include <sunlinsol/sunlinsol_dense.h>
#include <sunmatrix/sunmatrix_dense.h>

static int slope(realtype t, N_Vector y, N_Vector result, void *user)
{
    (void)y;
    (void)user;
    NV_Ith_S(result, 0) = 1 / (1 - t);
    return 0;
}

int main(void)
{
    SUNContext context;
    realtype t = 0, last;
    int calls = 0, still = 0, status;

    SUNContext_Create(NULL, &context);
    N_Vector y = N_VNew_Serial(1, context);
    SUNMatrix matrix = SUNDenseMatrix(1, 1, context);
    NV_Ith_S(y, 0) = 1;
    void *cvode = CVodeCreate(CV_BDF, context);
    CVodeInit(cvode, slope, 0, y);
    CVodeSStolerances(cvode, 1e-10, 1e-12);
    CVodeSetLinearSolver(cvode, SUNLinSol_Dense(y, matrix, context), matrix);
    CVodeSetErrFile(cvode, NULL);
    do {
        last = t;
        status = CVode(cvode, 2, y, &t, CV_NORMAL);
        calls++;
        still += t == last;
    } while (status == CV_TOO_MUCH_WORK && calls < 2000);
    printf("after %d calls: %s, t %s 1, the same as before in %s of them\n", calls,
           status == CV_TOO_MUCH_WORK ? "CV_TOO_MUCH_WORK" : "another status", t < 1 && t > 0.999999 ? "just before" : "not before",
           still > 1900 ? "more than 1900" : "fewer");
    return 0;
}
C
gcc -O1 pole.c -o pole -lsundials_cvode -lsundials_nvecserial -lsundials_sunmatrixdense -lsundials_sunlinsoldense || exit 1
verdict "after 2000 calls: CV_TOO_MUCH_WORK, t just before 1, the same as before in more than 1900 of them" "$(timeout -k 5 300 ./pole)"
