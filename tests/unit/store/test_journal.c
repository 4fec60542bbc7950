/* The journal alone: real files in a directory of the test's own. */
/* limit: 120 */
#include "base/clock.h"
#include "harness.h"
#include "memory.h"
#include "store/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[200], path[250];
static struct memory memory;
static struct rpi_journal *journal;
static int lines; /* logged */
static char line[2000];

/* fcntl() of this process, SQLite's calls too: as on a file system without locks, whose locks fail
 * with this error; 0: as it is. */
static int no_locks;

static int control(int file, int what, va_list arguments)
{
    void *argument = va_arg(arguments, void *);
    if (no_locks && (what == F_SETLK || what == F_SETLKW || what == F_GETLK)) {
        errno = no_locks;
        return -1;
    }
    return (int)syscall(SYS_fcntl, file, what, argument);
}

#define CONTROL(name)                                                                              \
    __attribute__((visibility("default"))) int name(int file, int what, ...)                       \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, what);                                                                 \
        int result = control(file, what, arguments);                                               \
        va_end(arguments);                                                                         \
        return result;                                                                             \
    }
CONTROL(fcntl)
CONTROL(fcntl64)

static void note(rp_level level, const char *text, void *user)
{
    (void)level;
    (void)user;
    lines++;
    (void)snprintf(line, sizeof line, "%s", text);
}

/* ---- helpers ---- */

static struct rpi_journal_db_title title(const char *function, const char *key,
                                         const char *argument)
{
    struct rpi_journal_db_title title = { .function = function,
                                          .key = { .data = key, .size = strlen(key) } };
    rp_bytes bytes = { .data = argument, .size = strlen(argument) };
    CU_ASSERT_EQUAL_FATAL(rpi_sha256(&bytes, 1, title.argument), RP_OK);
    return title;
}

static rp_status try_open(bool sync)
{
    struct rpi_journal_config config = {
        .alloc = memory_hook(&memory), .log = { .sink = note }, .path = path, .sync = sync
    };
    return rpi_journal_open(&config, &journal);
}

static void open_it(bool sync)
{
    if (try_open(sync) != RP_OK)
        CU_FAIL_FATAL("the journal cannot be opened");
}

static void close_it(void)
{
    CU_ASSERT_EQUAL(rpi_journal_close(journal), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static uint64_t put_bytes(const char *function, const char *key, const char *argument,
                          const void *data, size_t size)
{
    struct rpi_journal_db_title name = title(function, key, argument);
    rp_bytes result = { .data = data, .size = size };
    uint64_t number = 0;
    CU_ASSERT_EQUAL(rpi_journal_put(journal, &name, &result, &number), RP_OK);
    return number;
}

static uint64_t put(const char *key, const char *argument, const char *result)
{
    return put_bytes("f", key, argument, result, strlen(result));
}

static void wait_passed(uint64_t number)
{
    for (double end = rpi_now() + 30; rpi_journal_passed(journal) < number && rpi_now() < end;)
        (void)usleep(1000);
    CU_ASSERT_TRUE(rpi_journal_passed(journal) >= number);
}

/* Whether the outcome is there, with this result. */
static enum rpi_journal_db_found find(const char *function, const char *key, const char *argument,
                                      const char *result)
{
    struct rpi_journal_db_title name = title(function, key, argument);
    enum rpi_journal_db_found found = RPI_JOURNAL_DB_FOUND_DAMAGED;
    void *buffer = NULL;
    size_t size = 0;
    CU_ASSERT_EQUAL(rpi_journal_find(journal, &name, &found, &buffer, &size), RP_OK);
    if (found == RPI_FOUND) {
        CU_ASSERT_EQUAL(size, strlen(result));
        CU_ASSERT_TRUE(size == strlen(result) && memcmp(buffer, result, size) == 0);
        rpi_buffer_free(buffer);
    }
    return found;
}

static void begin(void)
{
    memory = (struct memory){ 0 };
    lines = 0;
    line[0] = '\0';
    char command[300];
    (void)snprintf(command, sizeof command, "%s-wal", path);
    (void)unlink(path);
    (void)unlink(command);
}

static void sql(const char *text)
{
    sqlite3 *db = NULL;
    CU_ASSERT_EQUAL(sqlite3_open(path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_close(db), SQLITE_OK);
}

static void write_file(const void *data, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_EQUAL(write(file, data, size), (ssize_t)size);
    (void)close(file);
}

/* Opening fails with this in its message, and the path. */
static void refuses(const char *text)
{
    CU_ASSERT_EQUAL_FATAL(try_open(false), RP_ERR_IO);
    if (!strstr(rp_error_message(), text) || !strstr(rp_error_message(), path)) {
        (void)fprintf(stderr, "no \"%s\" in: %s\n", text, rp_error_message());
        CU_FAIL("another message");
    }
    CU_ASSERT_EQUAL(memory.live, 0);
    CU_ASSERT_EQUAL(lines, 0); /* the caller has the message */
}

/* ---- what is put is found ---- */

static void found_again(void)
{
    begin();
    open_it(false);
    CU_ASSERT_EQUAL(find("f", "a", "1", ""), RPI_JOURNAL_DB_FOUND_NOTHING);
    put("a", "1", "one");
    put("b", "1", "");
    put_bytes("g", "a", "1", "of g", 4);
    for (int round = 0; round < 2; round++) {
        CU_ASSERT_EQUAL(find("f", "a", "1", "one"), RPI_FOUND);
        CU_ASSERT_EQUAL(find("f", "b", "1", ""), RPI_FOUND);
        CU_ASSERT_EQUAL(find("g", "a", "1", "of g"), RPI_FOUND);
        CU_ASSERT_EQUAL(find("g", "b", "1", ""), RPI_JOURNAL_DB_FOUND_NOTHING);
        CU_ASSERT_EQUAL(find("f", "a", "2", ""), RPI_JOURNAL_DB_FOUND_OTHER);
        close_it();
        open_it(round);
    }
    close_it();
}

/* Format 1 as it was written once, by Python from what journal_db.h says: a later rankpool reads
 * it, or knows it for what it is. */
static void format_1(void)
{
    begin();
    sql("CREATE TABLE outcome(function TEXT NOT NULL, key BLOB NOT NULL, argument BLOB NOT NULL, "
        "result BLOB NOT NULL,"
        " seal BLOB NOT NULL, PRIMARY KEY(function, key));"
        "INSERT INTO outcome VALUES('f', CAST('old key' AS BLOB),"
        " X'd8a7ccf8c19d45724402ed69bb491cac82dd0f55ec667602a3f4c81f4f2259c9',"
        " CAST('old result' AS BLOB),"
        " X'd783eeafb6f6da56fb0d13cd07e646b863ea9c06a989b528a0df686b844472d4');"
        "PRAGMA application_id = 1919970154; PRAGMA user_version = 1");
    open_it(false);
    CU_ASSERT_EQUAL(find("f", "old key", "1", "old result"), RPI_FOUND);
    CU_ASSERT_EQUAL(find("f", "old key", "2", ""), RPI_JOURNAL_DB_FOUND_OTHER);
    close_it();
}

static void key_of_any_bytes(void)
{
    struct rpi_journal_db_title name = title("f", "", "1");
    rp_bytes result = { .data = "x", .size = 1 };
    enum rpi_journal_db_found found;
    uint64_t number;
    void *buffer;
    size_t size;
    begin();
    open_it(true);
    name.key = (rp_bytes){ .data = "a\0b", .size = 3 };
    CU_ASSERT_EQUAL(rpi_journal_put(journal, &name, &result, &number), RP_OK);
    close_it();
    open_it(true);
    name.key.size = 1;
    CU_ASSERT_EQUAL(rpi_journal_find(journal, &name, &found, &buffer, &size), RP_OK);
    CU_ASSERT_EQUAL(found, RPI_JOURNAL_DB_FOUND_NOTHING);
    name.key.size = 3;
    CU_ASSERT_EQUAL(rpi_journal_find(journal, &name, &found, &buffer, &size), RP_OK);
    CU_ASSERT_EQUAL_FATAL(found, RPI_FOUND);
    rpi_buffer_free(buffer);
    close_it();
}

static void a_newer_one_replaces(void)
{
    begin();
    open_it(false);
    put("a", "1", "one");
    put("a", "2", "two");
    CU_ASSERT_EQUAL(find("f", "a", "1", ""), RPI_JOURNAL_DB_FOUND_OTHER);
    close_it();
    open_it(false);
    CU_ASSERT_EQUAL(find("f", "a", "1", ""), RPI_JOURNAL_DB_FOUND_OTHER);
    CU_ASSERT_EQUAL(find("f", "a", "2", "two"), RPI_FOUND);
    close_it();
}

static void many(void)
{
    enum { MANY = 5000 };
    char key[20];
    begin();
    open_it(false);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, "key %d", i);
        put(key, "1", key);
    }
    close_it();
    open_it(false);
    for (int i = 0; i < MANY; i += 7) {
        (void)snprintf(key, sizeof key, "key %d", i);
        CU_ASSERT_EQUAL(find("f", key, "1", key), RPI_FOUND);
    }
    CU_ASSERT_EQUAL(find("f", "key -1", "1", ""), RPI_JOURNAL_DB_FOUND_NOTHING);
    CU_ASSERT_EQUAL(rpi_journal_committed(journal), 0);
    close_it();
}

/* Memory is bounded, however slow the disk is. */
static void much_at_once(void)
{
    enum { PIECE = 4 << 20, PIECES = 40 };
    char key[20], *data = test_zeroed(PIECE);
    uint64_t most = 0;
    begin();
    open_it(false);
    for (int i = 0; i < PIECES; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        put_bytes("f", key, "1", data, PIECE);
        most = memory.bytes > most ? memory.bytes : most;
    }
    CU_ASSERT_TRUE(most < 140U << 20); /* one load that is written, one that waits */
    free(data);
    close_it();
}

/* ---- commits ---- */

static void commits_by_itself(void)
{
    begin();
    open_it(false);
    uint64_t number = put("a", "1", "one");
    CU_ASSERT_EQUAL(number, 1);
    wait_passed(number);
    CU_ASSERT_EQUAL(rpi_journal_committed(journal), 1);
    CU_ASSERT_TRUE(rpi_journal_settle(journal));
    close_it();
}

static void commits_at_once(void)
{
    begin();
    open_it(true);
    for (int i = 0; i < 20; i++)
        wait_passed(put("a", i % 2 ? "1" : "2", "one"));
    CU_ASSERT_EQUAL(rpi_journal_committed(journal), 20);
    close_it();
}

static void commits_when_told(void)
{
    begin();
    open_it(false);
    for (int i = 0; i < 10; i++) {
        uint64_t number = put("a", i % 2 ? "1" : "2", "one");
        while (!rpi_journal_settle(journal))
            (void)usleep(100);
        CU_ASSERT_EQUAL(rpi_journal_committed(journal), number);
    }
    close_it();
}

/* Runs it in a process that then ends as if killed. */
static void dies(void (*work)(void))
{
    pid_t child = fork();
    if (child == 0) {
        work();
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void commit_and_write(void)
{
    open_it(false);
    wait_passed(put("committed", "1", "one"));
    put("written", "1", "two");
    (void)find("f", "written", "1", "two");
}

static void committed_survives_death(void)
{
    begin();
    for (int i = 0; i < 3; i++) {
        dies(commit_and_write);
        open_it(false);
        CU_ASSERT_EQUAL(find("f", "committed", "1", "one"), RPI_FOUND);
        CU_ASSERT_EQUAL(find("f", "written", "1", ""), RPI_JOURNAL_DB_FOUND_NOTHING);
        close_it();
    }
}

/* ---- files that are refused ---- */

static void bad_places(void)
{
    char good[sizeof path];
    (void)snprintf(good, sizeof good, "%s", path);
    begin();
    (void)snprintf(path, sizeof path, "%s/none/x", directory);
    refuses("directory must exist");
    (void)snprintf(path, sizeof path, "%s", directory);
    refuses("cannot be opened");
    (void)snprintf(path, sizeof path, "/proc/x.journal"); /* no file can be made there */
    refuses("cannot be opened");
    (void)snprintf(path, sizeof path, "/dev/null");
    refuses("no regular file");
    (void)snprintf(path, sizeof path, "%s/pipe", directory);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    refuses("no regular file");
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s", good);
}

static void others_files(void)
{
    begin();
    sql("CREATE TABLE t(x); PRAGMA application_id = 7");
    refuses("another program");
    begin();
    sql("CREATE TABLE t(x)");
    refuses("another program");
    begin();
    open_it(false);
    close_it();
    sql("PRAGMA user_version = 2");
    refuses("format 2");
    char garbage[5000];
    begin();
    memset(garbage, 'g', sizeof garbage);
    write_file(garbage, sizeof garbage);
    refuses("it is no journal");
    begin();
    write_file("", 0); /* what a death while it was made may leave */
    open_it(false);
    close_it();
}

static void not_our_file_stays_as_it_is(void)
{
    struct stat before, after;
    begin();
    sql("CREATE TABLE t(x)");
    CU_ASSERT_EQUAL(stat(path, &before), 0);
    refuses("another program");
    CU_ASSERT_EQUAL(stat(path, &after), 0);
    CU_ASSERT_EQUAL(before.st_size, after.st_size);
    CU_ASSERT_EQUAL(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    sql("INSERT INTO t VALUES(1)");
}

static void in_use(void)
{
    struct rpi_journal *first;
    begin();
    open_it(false);
    first = journal;
    CU_ASSERT_EQUAL_FATAL(try_open(false), RP_ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "another pool uses it"));
    journal = first;
    pid_t child = fork();
    if (child == 0) { /* in another process too */
        bool refused = try_open(false) == RP_ERR_IO &&
                       strstr(rp_error_message(), "another pool uses it");
        _exit(refused ? 0 : 1);
    }
    int status = 1;
    (void)waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    put("a", "1", "one"); /* the first is as it was */
    close_it();
}

static int files_in_directory(void)
{
    int count = 0;
    DIR *all = opendir(directory);
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    /* cppcheck-suppress readdirCalled ; the directory is this thread's own */
    while (readdir(all))
        count++;
    (void)closedir(all);
    return count;
}

/* SQLite calls some of these "database is locked", and another "disk I/O error". */
static void without_locks(void)
{
    static const int errors[] = { ENOLCK, ENOSYS, EOPNOTSUPP };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        for (int there = 0; there < 2; there++) { /* to be made, and made before */
            begin();
            if (there) {
                open_it(false);
                put("a", "1", "one");
                close_it();
            }
            int files = files_in_directory();
            no_locks = errors[i];
            refuses("its file system gives no locks");
            no_locks = 0;
            CU_ASSERT_PTR_NULL(strstr(rp_error_message(), "another pool"));
            CU_ASSERT(files_in_directory() <= files + 1); /* the journal itself at the most */
            open_it(false);
            CU_ASSERT_EQUAL(find("f", "a", "1", "one"),
                            there ? RPI_FOUND : RPI_JOURNAL_DB_FOUND_NOTHING);
            close_it();
        }
    }
}

/* ---- damage: an error at open, or nothing found, but never another result ---- */

static void make_example(void)
{
    char key[20], result[3000];
    begin();
    open_it(false);
    memset(result, 'r', sizeof result);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        (void)snprintf(result, 20, "%d", i);
        result[strlen(result)] = '.';
        put_bytes("f", key, "1", result, sizeof result);
    }
    close_it();
}

/* Returns how many of the example's outcomes are there; a wrong one fails the test. */
static int count_found(void)
{
    char key[20], wanted[3000];
    int count = 0;
    memset(wanted, 'r', sizeof wanted);
    for (int i = 0; i < 40; i++) {
        enum rpi_journal_db_found found = RPI_JOURNAL_DB_FOUND_NOTHING;
        void *buffer = NULL;
        size_t size = 0;
        (void)snprintf(key, sizeof key, "%d", i);
        (void)snprintf(wanted, 20, "%d", i);
        wanted[strlen(wanted)] = '.';
        struct rpi_journal_db_title name = title("f", key, "1");
        CU_ASSERT_EQUAL(rpi_journal_find(journal, &name, &found, &buffer, &size), RP_OK);
        if (found == RPI_FOUND)
            CU_ASSERT_TRUE(size == sizeof wanted && memcmp(buffer, wanted, size) == 0);
        if (found == RPI_FOUND)
            rpi_buffer_free(buffer);
        CU_ASSERT_NOT_EQUAL(found, RPI_JOURNAL_DB_FOUND_OTHER);
        count += found == RPI_FOUND;
    }
    return count;
}

static uint64_t chance(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

static void damaged(void)
{
    static char image[1 << 20], copy[1 << 20];
    uint64_t random = 20;
    int refused = 0, partial = 0;
    make_example();
    int file = open(path, O_RDONLY);
    ssize_t size = read(file, image, sizeof image);
    (void)close(file);
    CU_ASSERT_TRUE_FATAL(size > 40 * 3000);
    for (int round = 0; round < 150; round++) {
        size_t length = (size_t)size;
        begin();
        memcpy(copy, image, length);
        if (round % 3 == 0)
            length = chance(&random) % length;
        else
            for (uint64_t i = 0, flips = 1 + chance(&random) % 20; i < flips; i++)
                copy[chance(&random) % (round % 3 == 1 ? length : 4096 * 4)] ^=
                    (char)(1 + chance(&random) % 255);
        write_file(copy, length);
        if (try_open(false) != RP_OK) {
            refused++;
            continue;
        }
        partial += count_found() < 40;
        rp_status status = rpi_journal_close(journal);
        CU_ASSERT_TRUE(status == RP_OK || status == RP_ERR_IO);
        CU_ASSERT_EQUAL(memory.live, 0);
    }
    CU_ASSERT_TRUE(refused > 20 && partial > 10); /* the test tests something */
}

/* ---- a disk without room ---- */

static void full_disk(void)
{
    struct rlimit before, low;
    static char data[100000];
    begin();
    open_it(false);
    wait_passed(put("first", "1", "one"));
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 300000;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (int i = 0; i < 10; i++) {
        char key[20];
        (void)snprintf(key, sizeof key, "%d", i);
        wait_passed(put_bytes("f", key, "1", data, sizeof data));
    }
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_TRUE(strstr(line, path) && strstr(line, "goes on without it"));
    CU_ASSERT_EQUAL(rpi_journal_sound(journal), RP_ERR_IO);
    CU_ASSERT_TRUE(rpi_journal_settle(journal));
    CU_ASSERT_TRUE(rpi_journal_committed(journal) < 10);
    CU_ASSERT_EQUAL(put("after", "1", "x"), 0); /* taken, but not stored */
    CU_ASSERT_EQUAL(find("f", "first", "1", "one"), RPI_FOUND);
    uint64_t committed = rpi_journal_committed(journal);
    CU_ASSERT_EQUAL(rpi_journal_close(journal), RP_ERR_IO);
    CU_ASSERT_EQUAL(memory.live, 0);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    open_it(false);
    CU_ASSERT_EQUAL(find("f", "first", "1", "one"), RPI_FOUND);
    CU_ASSERT_TRUE(committed >= 1);
    CU_ASSERT_EQUAL(find("f", "after", "1", ""), RPI_JOURNAL_DB_FOUND_NOTHING);
    close_it();
}

/* ---- without memory ---- */

static void without_memory(void)
{
    struct rpi_journal_db_title name = title("f", "a", "1");
    rp_bytes result = { .data = "one", .size = 3 };
    rp_status status = RP_ERR_NOMEM;
    make_example();
    for (uint64_t call = 1; status == RP_ERR_NOMEM; call++) {
        memory = (struct memory){ .fail_at = call };
        status = try_open(false);
        if (status == RP_ERR_NOMEM)
            CU_ASSERT_EQUAL(memory.live, 0);
    }
    CU_ASSERT_EQUAL_FATAL(status, RP_OK);
    uint64_t live = memory.live, number;
    enum rpi_journal_db_found found;
    void *buffer;
    size_t size;
    memory.fail_at = memory.calls + 1;
    CU_ASSERT_EQUAL(rpi_journal_put(journal, &name, &result, &number), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(memory.live, live);
    name = title("f", "7", "1");
    memory.fail_at = memory.calls + 1;
    CU_ASSERT_EQUAL(rpi_journal_find(journal, &name, &found, &buffer, &size), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(memory.live, live);
    memory.fail_at = 0;
    CU_ASSERT_EQUAL(count_found(), 40);
    close_it();
}

static int make_directory(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(directory, sizeof directory, "%s/rankpool-journal-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(directory))
        return 1;
    (void)snprintf(path, sizeof path, "%s/journal", directory);
    return 0;
}

static int remove_directory(void)
{
    begin();
    return rmdir(directory);
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = { { "found_again", found_again },
                                   { "format_1", format_1 },
                                   { "key_of_any_bytes", key_of_any_bytes },
                                   { "a_newer_one_replaces", a_newer_one_replaces },
                                   { "many", many },
                                   { "much_at_once", much_at_once },
                                   { "commits_by_itself", commits_by_itself },
                                   { "commits_at_once", commits_at_once },
                                   { "commits_when_told", commits_when_told },
                                   { "committed_survives_death", committed_survives_death },
                                   { "bad_places", bad_places },
                                   { "others_files", others_files },
                                   { "not_our_file_stays_as_it_is", not_our_file_stays_as_it_is },
                                   { "in_use", in_use },
                                   { "without_locks", without_locks },
                                   { "damaged", damaged },
                                   { "full_disk", full_disk },
                                   { "without_memory", without_memory },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = {
        { "journal", make_directory, remove_directory, NULL, NULL, tests }, CU_SUITE_INFO_NULL
    };
    return harness_main(argc, argv, suites);
}
