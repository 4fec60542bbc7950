#!/usr/bin/env bash
# SQLite: "database is locked" (SQLITE_BUSY) where the file system has no locks.
#
# What it shows: a program hands SQLite its own fcntl, which refuses to lock with a given error
# number, as file systems do. With ENOLCK (a network file system without a lock service says so)
# CREATE TABLE gives SQLITE_BUSY, "database is locked", as if another process had the lock; with
# ENOSYS it gives SQLITE_IOERR_LOCK (3850), "disk I/O error".
# Why it matters: a program that waits and tries again while the database is locked never ends.
# Versions: libsqlite3-0 3.40.1-2+deb12u2 (Debian 12).
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

unpack libsqlite3-0=3.40.1-2+deb12u2 libsqlite3-dev=3.40.1-2+deb12u2
export CPATH=$root/usr/include LIBRARY_PATH=$lib

cat >locks.c <<'C'
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refusal;

static int without_locks(int fd, int command, ...)
{
    va_list rest;

    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (command == F_SETLK && refusal) {
        errno = refusal;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

static void show(const char *name, int number)
{
    sqlite3 *database;

    refusal = number;
    sqlite3_open("numbers.db", &database);
    sqlite3_exec(database, "CREATE TABLE IF NOT EXISTS numbers (value INTEGER)", NULL, NULL, NULL);
    printf("%s: %d, %s\n", name, sqlite3_extended_errcode(database), sqlite3_errmsg(database));
    sqlite3_close(database);
}

int main(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

    vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)without_locks);
    show("locks", 0);
    show("ENOLCK", ENOLCK);
    show("ENOSYS", ENOSYS);
    return 0;
}
C
gcc locks.c -o locks -lsqlite3 || exit 1
verdict "locks: 0, not an error
ENOLCK: 5, database is locked
ENOSYS: 3850, disk I/O error" "$(timeout -k 5 300 ./locks)"
