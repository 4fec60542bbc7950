#!/usr/bin/env bash
# HDF5: after fork and a closed descriptor H5Dread returns another file's bytes, as a success; and
# the file cannot be opened again.
#
# What it shows: a process opens a file and a dataset, and forks two children. Each closes the
# descriptors from 3 on, as daemons do. Then
#  - one calls H5Fopen for the same file, to start afresh: HDF5 finds it in its own table, hands
#    out the open one, and reading from it fails (EBADF);
#  - the other opens another file, which gets the number that the HDF5 file had: H5Dread then
#    returns success, and that file's bytes.
#
# HDF5's identifiers are descriptors' numbers in the end, and nothing looks whether the number
# still belongs to the file.
# Why it matters: a pool of forked processes whose parent had the file open computes with wrong
# numbers, and no call says so.
# Versions: libhdf5-dev 1.10.8+repack1-1 (Debian 12).
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

unpack libhdf5-103-1=1.10.8+repack1-1 libhdf5-dev=1.10.8+repack1-1 libsz2=1.0.6-1+b1 \
    libaec0=1.0.6-1+b1 libcurl4=7.88.1-10+deb12u15 libbrotli1=1.0.9-2+b6 libldap-2.5-0=2.5.13+dfsg-5 \
    libnghttp2-14=1.52.0-1+deb12u3 libpsl5=0.21.2-1 librtmp1=2.4+20151223.gitfa8646d.1-2+b2 \
    libssh2-1=1.10.0-3+b1 libsasl2-2=2.1.28+dfsg-10
export CPATH=$root/usr/include/hdf5/serial LIBRARY_PATH=$lib/hdf5/serial

cat >forks.c <<'C'
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static double values[4] = { 1, 2, 3, 4 };

static void make(void)
{
    hsize_t count = 4;
    hid_t file = H5Fcreate("numbers.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &count, NULL);
    hid_t set = H5Dcreate2(file, "numbers", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
}

static void show(const char *what, hid_t set)
{
    double read[4] = { 0 };
    herr_t status = H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, read);

    printf("%s: H5Dread %s: %g %g %g %g\n", what, status < 0 ? "fails" : "succeeds", read[0], read[1], read[2], read[3]);
}

static void child(hid_t set, int other)
{
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    if (other) {
        open("sevens", O_RDONLY);
        show("with another file open", set);
    } else {
        hid_t again = H5Fopen("numbers.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
        printf("H5Fopen %s; ", again < 0 ? "fails" : "succeeds");
        show("opened again", H5Dopen2(again, "numbers", H5P_DEFAULT));
    }
    fflush(stdout);
    _exit(0);
}

int main(void)
{
    FILE *sevens = fopen("sevens", "w");
    double seven = 7;

    for (int i = 0; i < 4096; i++)
        fwrite(&seven, sizeof seven, 1, sevens);
    fclose(sevens);
    make();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t set = H5Dopen2(H5Fopen("numbers.h5", H5F_ACC_RDONLY, H5P_DEFAULT), "numbers", H5P_DEFAULT);
    for (int other = 0; other < 2; other++) {
        if (fork() == 0)
            child(set, other);
        wait(NULL);
    }
    return 0;
}
C
gcc forks.c -o forks -lhdf5 || exit 1
verdict "H5Fopen succeeds; opened again: H5Dread fails: 0 0 0 0
with another file open: H5Dread succeeds: 7 7 7 7" "$(timeout -k 5 300 ./forks)"
