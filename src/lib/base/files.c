#include "base/files.h"

#include "base/status.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>

#define UNKNOWN 64 /* open files, where they cannot be counted */

static unsigned long open_files(void)
{
    unsigned long count = 0;
    DIR *all = opendir("/proc/self/fd");
    if (!all)
        return UNKNOWN;
    /* cppcheck-suppress readdirCalled ; the directory is this thread's own */
    while (readdir(all))
        count++;
    (void)closedir(all);
    return count - 3; /* ".", ".." and its own */
}

static void raise_to(struct rlimit *limit, rlim_t wanted)
{
    struct rlimit more = *limit;
    more.rlim_cur = wanted < limit->rlim_max ? wanted : limit->rlim_max;
    if (more.rlim_cur > limit->rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
        *limit = more;
}

rp_status rpi_files_allow(unsigned long least, unsigned long more)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return RP_OK; /* whatever fails says so itself */
    unsigned long now = open_files();
    raise_to(&limit, now + more);
    if (limit.rlim_cur >= now + least)
        return RP_OK;
    return rpi_error(
        RP_ERR_BROKEN,
        "too many open files: rank 0 has %lu and needs %lu more for its workers, but may have no "
        "more than %llu "
        "(ulimit -n; hard limit %llu): raise the limit for rank 0's process, or start fewer ranks",
        now, least, (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
}

bool rpi_files_are_short(int error)
{
    return error == EMFILE || error == ENFILE;
}

rp_status rpi_files_error(const char *what, int error)
{
    struct rlimit limit = { 0 };
    if (error == ENFILE)
        return rpi_error(RP_ERR_BROKEN, "%s: too many open files on this host (sysctl fs.file-max)",
                         what);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return rpi_error(
        RP_ERR_BROKEN,
        "%s: too many open files: this process may have %llu (ulimit -n; hard limit %llu)", what,
        (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
}
