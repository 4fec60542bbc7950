#!/usr/bin/env bash
# HDF5: H5Dread that failed succeeds when it is tried again, and gives zeros.
#
# What it shows: a process opens a dataset, and its descriptor is closed by other code. The first
# H5Dread fails (EBADF), as it should, and leaves the buffer alone. The second one returns
# success, and zeros that are not in the file: the buffer that the first one has made for the raw
# data counts as filled. NetCDF-4, which stands on HDF5, passes that on: nc_get_var_double fails
# with NC_EHDFERR, then returns NC_NOERR and zeros.
# Why it matters: a program that tries again after an error of input, as one does on network file
# systems, goes on with zeros.
# Versions: libhdf5-dev 1.10.8+repack1-1, libnetcdf-dev 1:4.9.0-3+b1 (Debian 12).
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

unpack libhdf5-103-1=1.10.8+repack1-1 libhdf5-dev=1.10.8+repack1-1 libnetcdf19=1:4.9.0-3+b1 \
    libnetcdf-dev=1:4.9.0-3+b1 libhdf5-hl-100=1.10.8+repack1-1 libsz2=1.0.6-1+b1 libaec0=1.0.6-1+b1 \
    libcurl4=7.88.1-10+deb12u15 libcurl3-gnutls=7.88.1-10+deb12u15 libbrotli1=1.0.9-2+b6 \
    libldap-2.5-0=2.5.13+dfsg-5 libnghttp2-14=1.52.0-1+deb12u3 libpsl5=0.21.2-1 \
    librtmp1=2.4+20151223.gitfa8646d.1-2+b2 libssh2-1=1.10.0-3+b1 libsasl2-2=2.1.28+dfsg-10 \
    libxml2=2.9.14+dfsg-1.3~deb12u6 libicu72=72.1-3+deb12u1
export CPATH=$root/usr/include/hdf5/serial:$root/usr/include LIBRARY_PATH=$lib/hdf5/serial:$lib

cat >twice.c <<'C'
#include <hdf5.h>
#include <netcdf.h>
#include <stdio.h>
#include <unistd.h>

static void make(void)
{
    static const double values[4] = { 1, 2, 3, 4 };
    int file, dimension, variable;

    nc_create("numbers.nc", NC_CLOBBER | NC_NETCDF4, &file);
    nc_def_dim(file, "n", 4, &dimension);
    nc_def_var(file, "v", NC_DOUBLE, 1, &dimension, &variable);
    nc_enddef(file);
    nc_put_var_double(file, variable, values);
    nc_close(file);
}

static void show(const char *how, int failed, const double *read)
{
    printf("%s %s: %g %g %g %g\n", how, failed ? "fails" : "succeeds", read[0], read[1], read[2], read[3]);
}

int main(void)
{
    double read[4];
    int file;

    make();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t set = H5Dopen2(H5Fopen("numbers.nc", H5F_ACC_RDONLY, H5P_DEFAULT), "v", H5P_DEFAULT);
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    for (int i = 0; i < 2; i++) {
        read[0] = read[1] = read[2] = read[3] = 9;
        show("H5Dread", H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, read) < 0, read);
    }
    rename("numbers.nc", "old");
    make();
    nc_open("numbers.nc", NC_NOWRITE, &file);
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    for (int i = 0; i < 2; i++) {
        read[0] = read[1] = read[2] = read[3] = 9;
        show("nc_get_var_double", nc_get_var_double(file, 0, read) != NC_NOERR, read);
    }
    fflush(stdout);
    _exit(0);
}
C
gcc twice.c -o twice -lnetcdf -lhdf5 || exit 1
verdict "H5Dread fails: 9 9 9 9
H5Dread succeeds: 0 0 0 0
nc_get_var_double fails: 9 9 9 9
nc_get_var_double succeeds: 0 0 0 0" "$(timeout -k 5 300 ./twice 2>/dev/null)"
