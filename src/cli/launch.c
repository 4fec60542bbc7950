#include "launch.h"

#include "hosts.h"
#include "job.h"
#include "keepalive.h"
#include "parcel.h"
#include "rank.h"
#include "addresses.h"
#include "log.h"
#include "spellings.h"

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE 2.0 /* seconds, as --help and the manual say */

struct options {
    const char *ranks, *hosts, *bind;
    double grace, host_timeout;
    char **more; /* mpirun's, as the user gave them */
    int more_count;
    char **program; /* and its arguments; NULL at the end */
    int program_count;
};

static void help(void)
{
    (void)printf(
        "usage: rankpool launch [-n N] [--hosts LIST] [--bind UNIT] [--grace SECONDS] "
        "[--host-timeout SECONDS]\n"
        "                       [--mpirun-arg ARG]... PROGRAM [ARGUMENTS]\n\n"
        "Runs PROGRAM on N ranks under mpirun, such that its pool survives the death of workers "
        "and of other hosts,\n"
        "and returns rank 0's own exit status, or 128 + n when signal n ended it.\n\n"
        "  -n, --np N          ranks: rank 0 and N - 1 workers (default: what mpirun finds, as in "
        "a batch job)\n"
        "  --hosts LIST        hosts and the ranks on each, as h1:4,h2:4; rank 0 is on this one, "
        "else on the first\n"
        "  --bind UNIT         each rank stays on one core, socket, numa or the like (default "
        "none: ranks use all cores)\n"
        "  --grace SECONDS     how long other ranks may go on after rank 0 has ended (default %g)\n"
        "  --host-timeout SECONDS\n"
        "                      after which a host that does not answer is given up, 1 to 3600 "
        "(default %g)\n"
        "  --mpirun-arg ARG    one more word for mpirun's command line, as it stands; may be "
        "repeated\n"
        "  -h, --help          this text\n\n"
        "MPIRUN in the environment is the mpirun to use. PROGRAM and this command must be at the "
        "same path on all hosts.\n",
        GRACE, HOST_TIMEOUT);
}

/* ---- arguments */

static bool is_count(const char *text, size_t length)
{
    long value = strtol(text, NULL, 10);
    return length > 0 && strspn(text, "0123456789") == length && value >= 1 && value <= INT_MAX;
}

/* h1:4,h2:* and the like; +n1, +e: hosts of the batch job, mpirun's to read.  False, after saying
 * what is wrong. */
static bool check_hosts(const char *list)
{
    for (const char *at = list;; at++) {
        size_t all = strcspn(at, ","), name = strcspn(at, ":,");
        const char *count = at + name + 1;
        size_t length = name < all ? all - name - 1 : 0;
        if (name == 0 || strcspn(at, " \t\n") < all) {
            log_line("launch: --hosts wants a list such as h1:4,h2:4, not \"%s\"", list);
            return false;
        }
        if (*at != '+' && name < all && !is_count(count, length) &&
            (length != 1 || *count != '*')) {
            log_line("launch: --hosts wants a number of ranks for %.*s, not \"%.*s\"", (int)name,
                     at, (int)length, count);
            return false;
        }
        at += all;
        if (!*at)
            return true;
    }
}

/* As mpirun's --bind-to has them. */
static bool is_unit(const char *text)
{
    static const char *const units[] = { "none",    "hwthread", "core", "l1cache", "l2cache",
                                         "l3cache", "socket",   "numa", "board" };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(units[i], text) == 0)
            return true;
    return false;
}

static bool parse_seconds(const char *text, double least, double most, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    return *text && !*end && *seconds >= least && *seconds <= most;
}

static bool mentions(const struct options *options, const char *text)
{
    for (int i = 0; i < options->more_count; i++)
        if (strcasestr(options->more[i], text))
            return true;
    return false;
}

/* Whether the words for mpirun say where ranks run. */
static bool binds(const struct options *options)
{
    static const char *const words[] = { "bind-to",  "binding_policy", "cpu-set",
                                         "cpu-list", "cpu_list",       ":pe=",
                                         "cpus-per", "rankfile",       "rank_file" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (mentions(options, words[i]))
            return true;
    for (int i = 0; i < options->more_count; i++)
        if (strcmp(options->more[i], "-rf") == 0 || strcmp(options->more[i], "--rf") == 0 ||
            strcasestr(options->more[i], ",pe="))
            return true;
    return false;
}

/* -1: go on; else the exit status. */
static int check(const struct options *options)
{
    if (options->ranks && !is_count(options->ranks, strlen(options->ranks)))
        log_line("launch: -n wants a number of ranks, not \"%s\"", options->ranks);
    else if (options->hosts && !check_hosts(options->hosts))
        return USAGE_ERROR;
    else if (options->bind && !is_unit(options->bind))
        log_line(
            "launch: --bind wants none, core, socket, numa or another unit of mpirun's --bind-to, "
            "not \"%s\"",
            options->bind);
    else if (options->bind && binds(options))
        log_line(
            "launch: --bind %s and the words for mpirun both say where ranks run: leave one out",
            options->bind);
    else if (options->program_count == 0)
        log_line("launch: which program? rankpool launch -n N PROGRAM [ARGUMENTS]");
    else
        return -1;
    return USAGE_ERROR;
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option words[] = { { "np", required_argument, NULL, 'n' },
                                           { "hosts", required_argument, NULL, 'H' },
                                           { "grace", required_argument, NULL, 'g' },
                                           { "mpirun-arg", required_argument, NULL, 'm' },
                                           { "bind", required_argument, NULL, 'b' },
                                           { "help", no_argument, NULL, 'h' },
                                           { "host-timeout", required_argument, NULL, 't' },
                                           { NULL, 0, NULL, 0 } };
    int word;
    opterr = 0;
    while ((word = getopt_long(argc, argv, "+:n:h", words, NULL)) != -1) {
        switch (word) {
        case 'n':
            options->ranks = optarg;
            break;
        case 'H':
            options->hosts = optarg;
            break;
        case 'b':
            options->bind = optarg;
            break;
        case 'g':
            if (parse_seconds(optarg, 0, 1e9, &options->grace))
                break;
            log_line("launch: --grace wants seconds, not \"%s\"", optarg);
            return USAGE_ERROR;
        case 't':
            if (parse_seconds(optarg, 1, 3600, &options->host_timeout))
                break;
            log_line("launch: --host-timeout wants seconds, 1 to 3600, not \"%s\"", optarg);
            return USAGE_ERROR;
        case 'm':
            options->more[options->more_count++] = optarg;
            break;
        case 'h':
            help();
            return 0;
        case ':':
            log_line("launch: %s wants a value", argv[optind - 1]);
            return USAGE_ERROR;
        default:
            log_line("launch: there is no option %s (options of mpirun's go as --mpirun-arg; the "
                     "program's own follow its name)",
                     argv[optind - 1]);
            return USAGE_ERROR;
        }
    }
    options->program = argv + optind;
    options->program_count = argc - optind;
    return check(options);
}

/* ---- mpirun's command line */

/* What a job needs so that its survivors go on and come to an end (Open MPI 4.1):
 *  - orte_enable_recovery: the death of a rank does not end the others;
 *  - async_mpi_finalize: MPI_Finalize does not wait for the dead;
 *  - keepalives (add_keepalive): the daemon of a host whose cable is cut is given up after 3 to 4
 * s, not never, nor before the pool gives its workers up: it ends them when it loses mpirun. */
static const char *const recovery[] = { "--enable-recovery",
                                        "--mca",
                                        "orte_enable_recovery",
                                        "1",
                                        "--mca",
                                        "async_mpi_finalize",
                                        "1",
                                        "-x",
                                        RANK_LAUNCHER,
                                        "-x",
                                        HOST_TIMEOUT_SETTING };

struct words {
    const char **list;
    int count;
};

static void add(struct words *words, const char *word)
{
    words->list[words->count++] = word;
}

static void add_pair(struct words *words, const char *option, const char *value)
{
    add(words, option);
    add(words, value);
}

/* Words of mpirun's that are made here. */
struct numbers {
    char pause[16], probes[16], variables[16], unit[64];
};

/* Lost after `host_timeout` seconds of questions without an answer, and a pause before them. */
static void add_keepalive(struct words *words, double host_timeout, struct numbers *numbers)
{
    struct keepalive keepalive = keepalive_of(host_timeout);
    (void)snprintf(numbers->pause, sizeof numbers->pause, "%d", keepalive.pause);
    (void)snprintf(numbers->probes, sizeof numbers->probes, "%d", keepalive.probes);
    add(words, "--mca");
    add_pair(words, "oob_tcp_keepalive_time", numbers->pause);
    add(words, "--mca");
    add_pair(words, "oob_tcp_keepalive_intvl", numbers->pause);
    add(words, "--mca");
    add_pair(words, "oob_tcp_keepalive_probes", numbers->probes);
}

/* The list is the caller's to free; NULL: no memory. `self` is this command's own path; the program
 * travels in `variables` environment variables. */
static const char **compose(const struct options *options, int variables, const char *self,
                            struct numbers *numbers)
{
    const char *mpirun = getenv("MPIRUN");
    /* ranks beyond the units share them, as they share cores */
    (void)snprintf(numbers->unit, sizeof numbers->unit, "%s:overload-allowed",
                   options->bind ? options->bind : "none");
    int most = options->more_count + 2 * variables + (int)(sizeof recovery / sizeof *recovery) + 32;
    struct words words = { .list = calloc((size_t)most, sizeof *words.list) };
    if (!words.list)
        return NULL;
    add(&words, mpirun && *mpirun ? mpirun : "mpirun");
    for (size_t i = 0; i < sizeof recovery / sizeof *recovery; i++)
        add(&words, recovery[i]);
    add_keepalive(&words, options->host_timeout, numbers);
    if (getenv("SLURM_JOB_ID") && !getenv("OMPI_MCA_plm_slurm_args")) {
        add(&words, "--mca");
        add_pair(&words, "plm_slurm_args",
                 "--no-kill"); /* else SLURM ends every daemon with the first lost node */
    }
    if (!getenv("UCX_TLS") && !mentions(options, "UCX_TLS"))
        add_pair(&words, "-x",
                 "UCX_TLS=^sm"); /* else a killed rank leaves memory that UCX shares broken */
    if (!mentions(options, "oversubscribe"))
        add(&words, "--oversubscribe");
    if (options->ranks)
        add_pair(&words, "-n", options->ranks);
    if (options->hosts)
        add_pair(&words, "--host", options->hosts);
    if (options->bind)
        add_pair(&words, "--bind-to", numbers->unit);
    for (int i = 0; i < options->more_count; i++)
        add(&words, options->more[i]);
    for (int i = 0; i < variables; i++)
        add_pair(&words, "-x", parcel_name(i));
    add_pair(&words, self, RANK_COMMAND);
    (void)snprintf(numbers->variables, sizeof numbers->variables, "%d", variables);
    add(&words, numbers->variables);
    return words.list;
}

/* Over shared memory (Open MPI's vader) each worker writes into a box of its own at rank 0.  The
 * queue that all write into otherwise is left broken by one that is killed while it writes, and
 * rank 0 waits in it for ever.  Through that queue also goes what a worker gives back of the
 * sender's memory.  So messages of up to 4 KiB, a quarter of a box, are copied into it instead of
 * being sent in place, which is faster, too: of jobs of 11 kills each among short messages 0 of
 * 1,186 were stuck, and 7 of 1,037 beside them with boxes of 4 KiB and messages in place.  What is
 * left are the two that begin and end a longer message. */
static void prepare_ranks(void)
{
    static const char *const settings[][2] = {
        { "OMPI_MCA_btl_vader_fbox_threshold", "1" },
        { "OMPI_MCA_btl_vader_fbox_max", "256" },
        { "OMPI_MCA_btl_vader_fbox_size", "16384" },
        { "OMPI_MCA_btl_vader_segment_size", "8388608" }, /* where the boxes lie */
        { "OMPI_MCA_btl_vader_flags", "send,put,get,atomics,fetching-atomics" }
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        (void)setenv(settings[i][0], settings[i][1], 0);
}

/* By itself mpirun binds each rank to a core where there are 1 or 2, and to a socket where there
 * are more: threads of a task would share that core. */
static void prepare_binding(const struct options *options)
{
    if (!options->bind && !binds(options))
        (void)setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 0);
}

/* Open MPI's daemons listen by libevent for the processes that they start, and an event of one that
 * was killed may stay (libpmix 4.2).  With epoll the next one, whose connection has the same
 * number, is never heard then, and hangs in MPI_Init, as the spawn does that made it: 5 of 17 where
 * workers died quickly one after the other; 0 of 209 with poll.  Daemons on other hosts are started
 * by a command, which brings it there.  The program does not get it (rank.c). */
static void prepare_daemons(void)
{
    if (setenv(RANK_NOEPOLL, RANK_OURS, 0) == 0)
        (void)setenv("OMPI_MCA_orte_launch_agent", "env " RANK_NOEPOLL "=" RANK_OURS " orted", 0);
}

/* Of a heterogeneous job mpirun takes what the environment has of it, one component. */
static void warn_of_components(void)
{
    const char *count = getenv("SLURM_HET_SIZE"), *nodes = getenv("SLURM_JOB_NODELIST");
    if (!count)
        count = getenv("SLURM_PACK_SIZE"); /* until SLURM 20.02 */
    if (count && strtol(count, NULL, 10) > 1)
        log_line(
            "launch: this SLURM job has %s components, and mpirun uses the nodes of one of them, "
            "%s: the others stay idle",
            count, nodes ? nodes : "the first");
}

/* Each copy of launch starts a whole job: all copies but the first say so. */
static void warn_of_crowd(void)
{
    static const char *const launchers[][3] = { { "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "srun" },
                                                { "PMI_SIZE", "PMI_RANK", "mpiexec" },
                                                { "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK",
                                                  "mpirun" } };
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const char *tasks = getenv(launchers[i][0]), *task = getenv(launchers[i][1]),
                   *name = launchers[i][2];
        if (!tasks || !task || strtol(tasks, NULL, 10) <= 1)
            continue;
        if (strtol(task, NULL, 10) > 0)
            log_line(
                "launch: this is task %s of the %s that %s has started, and each starts a job of "
                "its own: leave %s out, or "
                "have it start one task",
                task, tasks, name, name);
        return;
    }
}

/* mpirun's own srun, inside a step, waits for the end of that step unless it may share what the
 * step has. */
static void prepare_slurm(void)
{
    (void)setenv("SLURM_OVERLAP", "1", 0);
}

/* 1, after saying why: there is no way to the hosts, or no memory. */
static int run(const struct options *options, const char *const *command)
{
    struct hosts hosts;
    struct addresses addresses;
    const char *one, *other;
    int status = 1;
    prepare_ranks();
    prepare_binding(options);
    prepare_slurm();
    warn_of_crowd();
    warn_of_components();
    prepare_daemons();
    keepalive_tell(options->host_timeout);
    bool gathered = hosts_gather(&hosts, options->hosts, options->more, options->more_count);
    if (gathered && spellings_clash(&hosts, &one, &other)) {
        log_line("launch: %s and %s are one host: name it once, or mpirun takes it for two", one,
                 other);
        status = USAGE_ERROR;
    } else if (!gathered || !hosts_add_job(&hosts)) {
        log_line("launch: no memory");
    } else if (addresses_find(&addresses, &hosts)) {
        status = job_run(command, &addresses, options->grace, options->host_timeout);
    }
    hosts_free(&hosts);
    return status;
}

int launch(int argc, char **argv)
{
    char self[PATH_MAX];
    struct options options = { .grace = GRACE, .host_timeout = HOST_TIMEOUT };
    struct numbers numbers = { .unit = "" };
    options.more = calloc((size_t)argc, sizeof *options.more);
    int status = options.more ? parse(argc, argv, &options) : 1;
    if (status >= 0) {
        free(options.more);
        return status;
    }
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    char *merged = options.hosts ? spellings_merge(options.hosts) : NULL;
    if (merged)
        options.hosts = merged;
    int variables = parcel_pack(options.program, options.program_count);
    const char **command = variables > 0 && length > 0
                               ? compose(&options, variables, self, &numbers)
                               : NULL;
    if (command)
        status = run(&options, command);
    else
        log_line("launch: no memory, or /proc/self/exe cannot be read");
    free(command);
    free(merged);
    free(options.more);
    return command ? status : 1;
}
