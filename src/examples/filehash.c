/* filehash: the SHA-256 of every regular file under a directory, as sha256sum prints it, sorted by
 * path.
 *
 * Rank 0 lists the files; each is a task, which carries only the path: the workers read the files
 * themselves, so they must see the same file system. The largest go first, so that no worker ends
 * on a long one while the others have nothing left.
 *
 * mpirun -n 4 filehash -s /usr/include >hashes */
#include <rankpool.h>

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    HASH_SIZE = 32,
    READ_SIZE = 64 * 1024,
    AHEAD = 256, /* tasks under way for each worker: enough to fill its messages with short ones */
    MAX_SHARES = 16 /* workers named one by one in the summary */
};

/* ---- the task ------------------------------------------------------------------------------ */

/* Gives what it reads to `digest`; returns 0 or errno. A size of 0 says nothing (/proc): it reads
 * to the end. */
static int digest_file(int fd, EVP_MD_CTX *digest)
{
    unsigned char buffer[READ_SIZE];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return errno;
        if (got > 0 && !EVP_DigestUpdate(digest, buffer, (size_t)got))
            return ENOTSUP;
    }
}

static int hash_path(const char *path, unsigned char *hash)
{
    int error = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();

    if (fd < 0)
        error = errno;
    else if (digest == NULL)
        error = ENOMEM;
    else if (!EVP_DigestInit_ex(digest, EVP_sha256(), NULL))
        error = ENOTSUP;
    else
        error = digest_file(fd, digest);
    if (error == 0 && !EVP_DigestFinal_ex(digest, hash, NULL))
        error = ENOTSUP;
    EVP_MD_CTX_free(digest);
    if (fd >= 0)
        (void)close(fd); /* it was only read */
    return error;
}

/* A path with its terminating null byte in, the hash out. */
static rp_status hash_file(rp_call *call, const void *arg, size_t size)
{
    unsigned char hash[HASH_SIZE];
    int error = hash_path(arg, hash);
    (void)size;
    if (error != 0)
        return rp_fail(call, error, "%s", strerror(error));
    return rp_return(call, hash, sizeof hash);
}
RP_TASK(hash_file);

/* ---- the files ----------------------------------------------------------------------------- */

struct file {
    char *path;
    off_t size;
    bool hashed;
    unsigned char hash[HASH_SIZE];
};

struct files {
    struct file *at;
    size_t count, room;
};

static bool add_file(struct files *files, const char *path, off_t size)
{
    if (files->count == files->room) {
        size_t room = files->room == 0 ? 1024 : 2 * files->room;
        struct file *at = reallocarray(files->at, room, sizeof *at);
        if (at == NULL)
            return false;
        files->at = at;
        files->room = room;
    }
    files->at[files->count] = (struct file){ .path = strdup(path), .size = size };
    if (files->at[files->count].path == NULL)
        return false;
    files->count++;
    return true;
}

static void free_files(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->at[i].path);
    free(files->at);
}

/* Lists what one step of the walk came to. Returns false after saying why not. */
static bool visit(const FTSENT *entry, struct files *files)
{
    const char *problem = NULL;
    switch (entry->fts_info) {
    case FTS_F:
        if (!add_file(files, entry->fts_path, entry->fts_statp->st_size))
            problem = strerror(ENOMEM);
        break;
    case FTS_SL:
        if (entry->fts_level == FTS_ROOTLEVEL)
            problem = "a symbolic link is not followed (with a / at its end it is)";
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        problem = strerror(entry->fts_errno);
        break;
    case FTS_DC:
        problem = "a directory that contains itself";
        break;
    default:
        break; /* directories, and what holds no data of its own */
    }
    if (problem != NULL)
        fprintf(stderr, "filehash: %s: %s\n", entry->fts_path, problem);
    return problem == NULL;
}

/* Lists the regular files under `directory` as find does. Returns false if anything was in the way,
 * after saying what; the rest is listed. */
static bool list_files(char *directory, struct files *files)
{
    char *roots[] = { directory, NULL };
    FTS *walk = fts_open(roots, FTS_PHYSICAL, NULL);
    FTSENT *entry;
    bool good = true;

    while (walk != NULL && (entry = fts_read(walk)) != NULL)
        good &= visit(entry, files);
    if (walk == NULL || errno != 0) { /* fts_read sets it to 0 at the end */
        fprintf(stderr, "filehash: %s: %s\n", directory, strerror(errno));
        good = false;
    }
    if (walk != NULL &&
        fts_close(walk) != 0) { /* the walk changes directory, and its end changes back */
        perror("filehash: going back to the working directory");
        good = false;
    }
    return good;
}

static int larger_first(const void *left, const void *right)
{
    const struct file *a = left, *b = right;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return strcmp(a->path, b->path);
}

static int by_path(const void *left, const void *right)
{
    const struct file *a = left, *b = right;
    return strcmp(a->path, b->path);
}

static void sort_files(struct files *files, int order(const void *, const void *))
{
    if (files->count > 0)
        qsort(files->at, files->count, sizeof *files->at, order);
}

/* ---- hashing ------------------------------------------------------------------------------- */

/* The tasks under way, `room` at the most: however many files there are, the pool holds only
 * these. */
struct run {
    rp_pool *pool;
    rp_future *futures;
    struct file **files; /* files[i] is what futures[i] hashes */
    size_t count, room;
    size_t workers;
    double *worker_bytes; /* by number of the worker, 1 to workers */
    size_t hashed;
    double bytes;
    bool good; /* no file failed */
};

static bool init_run(struct run *run, rp_pool *pool)
{
    size_t workers = rp_workers(pool), room = AHEAD * (workers + 1);
    *run = (struct run){ .pool = pool, .room = room, .workers = workers, .good = true };
    run->futures = calloc(room, sizeof *run->futures);
    run->files = calloc(room, sizeof *run->files);
    run->worker_bytes = calloc(workers + 1, sizeof *run->worker_bytes);
    return run->futures != NULL && run->files != NULL && run->worker_bytes != NULL;
}

static void free_run(struct run *run)
{
    free(run->futures);
    free(run->files);
    free(run->worker_bytes);
}

static rp_status submit(struct run *run, struct file *file)
{
    rp_status status = rp_submit(run->pool, hash_file, file->path, strlen(file->path) + 1, NULL,
                                 &run->futures[run->count]);
    if (status == RP_OK)
        run->files[run->count++] = file;
    return status;
}

static void note(struct run *run, struct file *file, const rp_outcome *outcome)
{
    if (outcome->status != RP_OK) {
        fprintf(stderr, "filehash: %s: %s\n", file->path, outcome->message);
        run->good = false;
        return;
    }
    memcpy(file->hash, outcome->data, sizeof file->hash);
    file->hashed = true;
    run->hashed++;
    run->bytes += (double)file->size;
    if ((size_t)outcome->worker <= run->workers)
        run->worker_bytes[outcome->worker] += (double)file->size;
}

/* Takes over the outcome of a task that is done; the last one moves into its place. */
static rp_status settle(struct run *run, size_t index)
{
    rp_future future = run->futures[index];
    rp_outcome outcome = RP_OUTCOME_INIT;
    rp_status status = rp_outcome_of(run->pool, future, &outcome);

    if (status != RP_OK)
        return status;
    note(run, run->files[index], &outcome);
    run->count--;
    run->futures[index] = run->futures[run->count];
    run->files[index] = run->files[run->count];
    return rp_release(run->pool, future);
}

/* Waits until a task is done, then settles all that are: one look at every future serves many
 * results, and a huge file holds up no other. */
static rp_status settle_some(struct run *run)
{
    size_t any;
    rp_status status = rp_wait_any(run->pool, run->futures, run->count, RP_FOREVER, &any);
    for (size_t i = 0; i < run->count && status == RP_OK;) {
        if (rp_state_of(run->pool, run->futures[i]) == RP_DONE)
            status = settle(run, i);
        else
            i++;
    }
    return status;
}

static rp_status hash_files(struct run *run, struct files *files)
{
    rp_status status = RP_OK;
    for (size_t i = 0; i < files->count && status == RP_OK; i++) {
        if (run->count == run->room)
            status = settle_some(run);
        if (status == RP_OK)
            status = submit(run, &files->at[i]);
    }
    while (run->count > 0 && status == RP_OK)
        status = settle_some(run);
    return status;
}

/* ---- what is printed ----------------------------------------------------------------------- */

/* As sha256sum writes a name that would break its line: a backslash in front of the line, and
 * escapes. */
static void print_hash(const struct file *file)
{
    if (file->path[strcspn(file->path, "\\\n\r")] != '\0')
        putchar('\\');
    for (size_t i = 0; i < sizeof file->hash; i++)
        printf("%02x", file->hash[i]);
    fputs("  ", stdout);
    for (const char *c = file->path; *c != '\0'; c++) {
        if (*c == '\\')
            fputs("\\\\", stdout);
        else if (*c == '\n')
            fputs("\\n", stdout);
        else if (*c == '\r')
            fputs("\\r", stdout);
        else
            putchar(*c);
    }
    putchar('\n');
}

static bool print_hashes(struct files *files)
{
    sort_files(files, by_path);
    for (size_t i = 0; i < files->count; i++) {
        if (files->at[i].hashed)
            print_hash(&files->at[i]);
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    perror("filehash: standard output");
    return false;
}

/* Each worker's part of the bytes; of many workers, the smallest and the largest. */
static void print_shares(const struct run *run)
{
    double least = 100.0, most = 0.0, unit = run->bytes > 0.0 ? run->bytes / 100.0 : 1.0;
    fprintf(stderr, "; share of %zu worker%s:", run->workers, run->workers == 1 ? "" : "s");
    for (size_t i = 1; i <= run->workers; i++) {
        double share = run->worker_bytes[i] / unit;
        if (run->workers <= MAX_SHARES)
            fprintf(stderr, " %.1f %%", share);
        if (share < least)
            least = share;
        if (share > most)
            most = share;
    }
    if (run->workers > MAX_SHARES)
        fprintf(stderr, " %.2f to %.2f %% each", least, most);
    fputc('\n', stderr);
}

static void print_summary(const struct run *run, double seconds)
{
    double megabytes = run->bytes / 1e6;
    fprintf(stderr, "filehash: %zu files, %.1f MB in %.2f s: %.0f tasks/s, %.0f MB/s", run->hashed,
            megabytes, seconds, (double)run->hashed / seconds, megabytes / seconds);
    print_shares(run);
}

/* ---- the program --------------------------------------------------------------------------- */

struct options {
    bool quiet, summary, help;
    char *directory;
};

static const char usage[] = "usage: filehash [-q] [-s] [DIRECTORY]     default: /usr/include\n"
                            "  -q, --quiet     print no hashes\n"
                            "  -s, --summary   say at the end, on standard error, what was done\n"
                            "  -h, --help      print this\n";

static bool parse_options(int argc, char **argv, struct options *options)
{
    static char default_directory[] = "/usr/include";
    static const struct option names[] = { { "quiet", no_argument, NULL, 'q' },
                                           { "summary", no_argument, NULL, 's' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    int option;

    *options = (struct options){ .directory = default_directory };
    while ((option = getopt_long(argc, argv, "qsh", names, NULL)) != -1) {
        switch (option) {
        case 'q':
            options->quiet = true;
            break;
        case 's':
            options->summary = true;
            break;
        case 'h':
            options->help = true;
            break;
        default:
            return false;
        }
    }
    if (optind < argc)
        options->directory = argv[optind++];
    return optind == argc;
}

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* it cannot fail */
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Hashes the files and prints what was asked for. Returns false if anything went wrong, after
 * saying what. */
static bool hash_and_print(rp_pool *pool, struct files *files, const struct options *options)
{
    struct run run;
    double start = now();
    bool good = false;

    sort_files(files, larger_first);
    if (!init_run(&run, pool)) {
        perror("filehash");
    } else if (hash_files(&run, files) != RP_OK) {
        fprintf(stderr, "filehash: %s\n", rp_error_message());
    } else {
        double seconds = now() - start;
        good = (options->quiet || print_hashes(files)) && run.good;
        if (options->summary)
            print_summary(&run, seconds);
    }
    free_run(&run);
    return good;
}

/* What rank 0 does. Returns the exit status. */
static int master(rp_pool *pool, int argc, char **argv)
{
    struct options options;
    struct files files = { 0 };
    bool listed, hashed;

    if (!parse_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    if (options.help)
        return fputs(usage, stdout) < 0 || fflush(stdout) != 0;
    listed = list_files(options.directory, &files);
    hashed = hash_and_print(pool, &files, &options);
    free_files(&files);
    return listed && hashed ? 0 : 1;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    int status;

    if (rp_open(NULL, &pool) != RP_OK) {
        fprintf(stderr, "filehash: %s\n", rp_error_message());
        return 1;
    }
    /* What stands before rp_open runs in the workers too: so the files are listed, and options
     * complained about, after it. */
    if (pool == NULL)
        return 0;
    status = master(pool, argc, argv);
    if (status != 0) {
        (void)rp_terminate(&pool); /* the first error is the one that counts */
    } else if (rp_close(&pool) != RP_OK) {
        fprintf(stderr, "filehash: %s\n", rp_error_message());
        status = 1;
    }
    return status;
}
