#!/usr/bin/env bash
# qemu-user: prctl(PR_SET_CHILD_SUBREAPER) fails with EINVAL, where the kernel has it.
#
# What it shows: a program of a few instructions calls prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
# and ends with the error number as its status. Run by the kernel it gives 0; the same file under
# qemu-x86_64 gives 22 (EINVAL), and so do programs for aarch64 and s390x under their qemu.
# Why it matters: EINVAL says that the kernel is older than Linux 3.4. Under qemu-user, with which
# packages for other machines are built and tested, a process cannot take in its orphans.
# Versions: qemu-user 1:7.2+dfsg-7+deb12u18+b3 (Debian 12).
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

unpack qemu-user=1:7.2+dfsg-7+deb12u18+b3 binutils-aarch64-linux-gnu=2.40-2 \
    binutils-s390x-linux-gnu=2.40-2 libjansson4=2.14-2 libcapstone4=4.0.2-5 liburing2=2.3-3 \
    libglib2.0-0=2.74.6-2+deb12u9 libpcre2-8-0=10.42-1 libnuma1=2.0.16-1

cat >x86_64.s <<'S'
        .globl _start
_start: mov $157, %eax  # prctl
        mov $36, %edi   # PR_SET_CHILD_SUBREAPER
        mov $1, %esi
        xor %edx, %edx
        xor %r10d, %r10d
        xor %r8d, %r8d
        syscall
        neg %eax
        mov %eax, %edi
        mov $60, %eax   # exit
        syscall
S
cat >aarch64.s <<'S'
        .globl _start
_start: mov x8, #167
        mov x0, #36
        mov x1, #1
        mov x2, #0
        mov x3, #0
        mov x4, #0
        svc #0
        neg x0, x0
        mov x8, #93
        svc #0
S
cat >s390x.s <<'S'
        .globl _start
_start: lghi %r2, 36
        lghi %r3, 1
        lghi %r4, 0
        lghi %r5, 0
        lghi %r6, 0
        svc 172
        lcgr %r2, %r2
        svc 1
S
for machine in x86_64 aarch64 s390x; do
    "$machine-linux-gnu-as" $machine.s -o $machine.o && "$machine-linux-gnu-ld" $machine.o -o $machine || exit 1
done

seen=$(
    ./x86_64
    echo "x86_64, by the kernel: $?"
    for machine in x86_64 aarch64 s390x; do
        timeout -k 5 300 "qemu-$machine" ./$machine
        echo "$machine, by qemu: $?"
    done
)
verdict "x86_64, by the kernel: 0
x86_64, by qemu: 22
aarch64, by qemu: 22
s390x, by qemu: 22" "$seen"
