/* A program for oob_auth.sh: a pool to whose side channel strangers come, and the strangers.
 *   oob_auth pool DIR          a pool that works, loses a worker and has it replaced.  Whenever
 *                               rank 0 listens somewhere, "ADDRESS PORT" is a
 *                               new line of DIR/doors, and the worker that is awaited comes only
 *                               when there is DIR/over.1 (.2 and so on)
 *   oob_auth call ADDRESS PORT     all that a stranger may try, but for the token
 *   oob_auth scan ADDRESS          every port
 *   oob_auth knock ADDRESS PORT    whether somebody listens there */
#include <rankpool.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <mpi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TOKEN   16 /* bytes; four more follow, for the worker's number */
#define CROWD   500
#define VISITS  10000
#define ROUND   20
#define PATIENT 240.0
#define DOORS   64

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void pause_for(long milliseconds)
{
    const struct timespec time = { .tv_nsec = milliseconds * 1000000 };
    (void)nanosleep(&time, NULL);
}

/* ---- what this process listens on ---------------------------------------------------------- */

struct door {
    uint32_t ip; /* network byte order */
    unsigned port;
};

static bool owns(unsigned long inode)
{
    char name[300], target[64], wanted[64];
    const struct dirent *entry;
    bool found = false;
    DIR *files = opendir("/proc/self/fd");
    (void)snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    /* cppcheck-suppress readdirCalled ; a stream of this thread's own */
    while (files && !found && (entry = readdir(files))) {
        (void)snprintf(name, sizeof name, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    if (files)
        (void)closedir(files);
    return found;
}

static int doors_of(const char *table, struct door *doors, int count)
{
    char line[512];
    FILE *file = fopen(table, "r");
    while (file && count < DOORS && fgets(line, sizeof line, file)) {
        unsigned long inode;
        unsigned port, state;
        char address[40];
        if (sscanf(line, "%*d: %39[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", address, &port,
                   &state, &inode) != 4 ||
            state != 10 || !owns(inode))
            continue;
        doors[count++] = (struct door){
            .ip = strlen(address) == 8 ? (uint32_t)strtoul(address, NULL, 16) : 0, .port = port
        };
    }
    if (file)
        (void)fclose(file);
    return count;
}

static int open_doors(struct door *doors)
{
    return doors_of("/proc/self/net/tcp6", doors, doors_of("/proc/self/net/tcp", doors, 0));
}

static struct {
    const char *directory;
    struct door mpi[DOORS]; /* MPI's own */
    int mpis;
    atomic_int seen; /* doors of ours, ever */
    atomic_bool over;
    bool late;   /* this one is awaited */
    bool is_new; /* and takes a lost one's place */
} place;

static bool is_mpis(const struct door *door)
{
    for (int i = 0; i < place.mpis; i++)
        if (place.mpi[i].port == door->port)
            return true;
    return false;
}

static int doors_of_ours(struct door *last)
{
    struct door doors[DOORS];
    int count = open_doors(doors), ours = 0;
    for (int i = 0; i < count; i++)
        if (!is_mpis(&doors[i])) {
            ours++;
            *last = doors[i];
        }
    return ours;
}

/* Tells of each door once. */
static void *watch(void *unused)
{
    char name[4096], text[INET_ADDRSTRLEN];
    struct door told = { 0 }, door = { 0 };
    (void)snprintf(name, sizeof name, "%s/doors", place.directory);
    while (!atomic_load(&place.over)) {
        if (doors_of_ours(&door) > 0 && door.port != told.port) {
            FILE *file = fopen(name, "a");
            (void)inet_ntop(AF_INET, &door.ip, text, sizeof text);
            if (!file)
                abort();
            (void)fprintf(file, "%s %u\n", text, door.port);
            (void)fclose(file);
            told = door;
            atomic_fetch_add(&place.seen, 1);
        }
        pause_for(5);
    }
    return unused;
}

static bool is_over(int door)
{
    char name[4096];
    (void)snprintf(name, sizeof name, "%s/over.%d", place.directory, door);
    return access(name, F_OK) == 0;
}

/* The library's sockets are made so, and MPI's are not: rank 0 listens until the strangers have
 * been there. */
int socket(int domain, int type, int protocol)
{
    double end = now() + PATIENT;
    if (place.late && domain == AF_INET && type == (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)) {
        while (!is_over(place.is_new ? 2 : 1) && now() < end)
            pause_for(5);
        place.late = false;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

/* ---- the pool ------------------------------------------------------------------------------ */

static rp_status triple(rp_call *call, const void *arg, size_t size)
{
    int64_t value;
    memcpy(&value, arg, sizeof value);
    pause_for(1);
    value *= 3;
    return rp_return(call, &value, size);
}
RP_TASK(triple);

static rp_status count_doors(rp_call *call, const void *arg, size_t size)
{
    struct door last;
    int count = doors_of_ours(&last);
    (void)arg;
    (void)size;
    return rp_return(call, &count, sizeof count);
}
RP_TASK(count_doors);

static int wrong;

static void expect(bool right, const char *what)
{
    if (!right && wrong++ < 5)
        printf("wrong: %s (%s)\n", what, rp_error_message());
}

static void work(rp_pool *pool)
{
    rp_future futures[ROUND];
    for (int64_t i = 0; i < ROUND; i++)
        expect(rp_submit(pool, triple, &i, sizeof i, NULL, &futures[i]) == RP_OK, "rp_submit");
    for (int64_t i = 0; i < ROUND; i++) {
        int64_t value = 0;
        expect(rp_get(pool, futures[i], PATIENT, &value, sizeof value, NULL) == RP_OK &&
                   value == 3 * i,
               "a result");
    }
}

static rp_stats stats_of(rp_pool *pool)
{
    rp_stats stats = RP_STATS_INIT;
    expect(rp_stats_of(pool, &stats) == RP_OK, "rp_stats_of");
    return stats;
}

/* No process listens while no worker is awaited. */
static void look_for_doors(rp_pool *pool)
{
    struct door last;
    int none = 1;
    expect(doors_of_ours(&last) == 0, "rank 0 listens");
    for (int i = 1; i <= (int)rp_workers(pool); i++) {
        rp_task_options there = RP_TASK_OPTIONS_INIT;
        rp_future future;
        there.worker = i;
        there.worker_hard = true;
        expect(rp_submit(pool, count_doors, NULL, 0, &there, &future) == RP_OK &&
                   rp_get(pool, future, PATIENT, &none, sizeof none, NULL) == RP_OK && none == 0,
               "a worker listens");
    }
}

static void end_worker(rp_pool *pool, int worker)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    expect(rp_worker_info_of(pool, worker, &info) == RP_OK, "rp_worker_info_of");
    expect(kill((pid_t)info.pid, SIGKILL) == 0, "kill");
}

/* It works on while strangers are at the door and one is awaited. */
static void work_at_an_open_door(rp_pool *pool)
{
    int rounds = 0;
    double longest = 0, end = now() + PATIENT;
    end_worker(pool, 1);
    while (stats_of(pool).respawned < 1 && now() < end) {
        double began = now();
        bool open = atomic_load(&place.seen) == 2 && !is_over(2);
        work(pool);
        if (!open)
            continue;
        rounds++;
        if (now() - began > longest)
            longest = now() - began;
    }
    rp_stats stats = stats_of(pool);
    expect(rounds > 0, "nothing was done meanwhile");
    expect(longest < 10, "the work was held up");
    printf("%d workers, %d lost, %d respawned\n", stats.workers, stats.lost, stats.respawned);
    printf("%d rounds of %d tasks meanwhile, the longest took %.3f s\n", rounds, ROUND, longest);
}

static int lead(rp_pool *pool)
{
    look_for_doors(pool);
    work(pool);
    work_at_an_open_door(pool);
    look_for_doors(pool);
    work(pool);
    rp_status status = rp_close(&pool);
    printf("close: %s\n", status == RP_OK ? "fine" : rp_error_message());
    return wrong > 0;
}

static int open_the_pool(void)
{
    rp_pool *pool;
    rp_config config = RP_CONFIG_INIT;
    pthread_t thread;
    MPI_Comm parent;
    int rank, provided;
    (void)MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_get_parent(&parent);
    place.is_new = parent != MPI_COMM_NULL;
    place.late = place.is_new || rank == 1;
    place.mpis = open_doors(place.mpi);
    bool leads = rank == 0 && !place.is_new;
    if (leads && pthread_create(&thread, NULL, watch, NULL) != 0)
        return 1;
    config.respawn = 1;
    config.open_timeout = PATIENT;
    rp_status status = rp_open(&config, &pool);
    if (status != RP_OK)
        printf("open: %s\n", rp_error_message());
    int code = status == RP_OK && leads ? lead(pool) : status != RP_OK;
    atomic_store(&place.over, true);
    if (leads)
        (void)pthread_join(thread, NULL);
    (void)MPI_Finalize();
    return code;
}

/* ---- strangers ----------------------------------------------------------------------------- */

static struct sockaddr_in goal = { .sin_family = AF_INET };

/* A connection; -1: no process listens there. */
static int visit(void)
{
    int file = socket(AF_INET, SOCK_STREAM, 0);
    if (file >= 0 && connect(file, (const struct sockaddr *)&goal, sizeof goal) == 0)
        return file;
    if (file >= 0)
        (void)close(file);
    return -1;
}

static void say(int file, size_t size)
{
    static uint8_t bytes[65536];
    (void)!getrandom(bytes, sizeof bytes, 0);
    memcpy(bytes + TOKEN, (const uint8_t[]){ 1, 0, 0, 0 }, 4); /* the worker that is awaited */
    (void)send(file, bytes, size, MSG_NOSIGNAL);               /* it may have been closed already */
}

/* Whether it was closed without an answer. */
static bool is_turned_away(int file)
{
    uint8_t byte;
    struct pollfd look = { .fd = file, .events = POLLIN };
    if (file < 0)
        return false;
    bool closed = poll(&look, 1, 20000) == 1 && recv(file, &byte, 1, 0) <= 0;
    (void)close(file);
    return closed;
}

/* Each says something else, or nothing. */
static int visit_each_way(void)
{
    static const struct {
        const char *name;
        size_t size;
    } ways[] = { { "no token", 0 },
                 { "half a token", TOKEN / 2 },
                 { "a token without a number", TOKEN },
                 { "a wrong token", TOKEN + 4 },
                 { "garbage", 65536 } };
    int files[sizeof ways / sizeof *ways], wrongs = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        files[i] = visit();
        if (files[i] < 0)
            printf("%s: no connection: %s\n", ways[i].name, strerror(errno));
        else
            say(files[i], ways[i].size);
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        bool turned_away = is_turned_away(files[i]);
        wrongs += !turned_away;
        if (!turned_away)
            printf("%s: not turned away\n", ways[i].name);
    }
    return wrongs;
}

/* Some hundreds that stay, and thousands that do not. */
static int visit_in_a_crowd(void)
{
    static int files[CROWD];
    int held = 0, failed = 0;
    for (int i = 0; i < CROWD; i++) {
        files[i] = visit();
        if (files[i] >= 0 && i % 3)
            say(files[i], i % 3 == 1 ? TOKEN / 2 : TOKEN);
    }
    for (int i = 0; i < VISITS; i++) {
        int file = visit();
        failed += file < 0;
        if (file >= 0)
            (void)close(file);
    }
    for (int i = 0; i < CROWD; i++)
        held += !is_turned_away(files[i]);
    if (held || failed)
        printf("of %d connections held %d were not turned away; of %d others %d failed\n", CROWD,
               held, VISITS, failed);
    return held + failed;
}

static int call(void)
{
    int wrongs = visit_each_way();
    return wrongs + visit_in_a_crowd() > 0;
}

static int scan(void)
{
    int found = 0;
    for (unsigned port = 1; port <= 65535; port++) {
        goal.sin_port = htons((uint16_t)port);
        int file = visit();
        found += file >= 0;
        if (file >= 0)
            (void)close(file);
    }
    printf("%d ports are open\n", found);
    return found == 0;
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (argc < 3)
        return 2;
    if (strcmp(argv[1], "pool") == 0) {
        place.directory = argv[2];
        return open_the_pool();
    }
    goal.sin_port = htons(argc > 3 ? (uint16_t)strtoul(argv[3], NULL, 10) : 0);
    if (inet_pton(AF_INET, argv[2], &goal.sin_addr) != 1)
        return 2;
    if (strcmp(argv[1], "call") == 0)
        return call();
    return strcmp(argv[1], "scan") == 0 ? scan() : visit() < 0;
}
