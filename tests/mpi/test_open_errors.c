/* Every status that opening a pool and registering a function can return, in a process of its
 * own. */
/* run: alone */
#include "calls.h"

#include <math.h>
#include <rankpool_mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* MPI's, which fails when it is told to. */
static bool mpi_fails;

int MPI_Comm_size(MPI_Comm comm, int *ranks)
{
    return mpi_fails ? MPI_ERR_OTHER : PMPI_Comm_size(comm, ranks);
}

static void *no_memory(void *old, size_t bytes, void *user)
{
    (void)old;
    (void)bytes;
    (void)user;
    return NULL;
}

static const rp_config *config_of(rp_config config)
{
    static rp_config kept;
    if (!config.struct_size)
        config.struct_size = sizeof config;
    kept = config;
    return &kept;
}
#define CONFIG(...) config_of((rp_config){ __VA_ARGS__ })

static const rp_config no_size;
#define NOWHERE "/nowhere/at/all"

/* ---- opening ---- */

static void opening(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    compare(made(), status, what);
    (void)unsetenv("SLURM_STEP_NUM_TASKS");
    CU_ASSERT_PTR_NULL(pool);
    CU_ASSERT_EQUAL_FATAL(rp_open(NULL, &pool), RP_OK); /* the next is as ever */
    CU_ASSERT_EQUAL(rp_apply(pool, echo, room, 8, room, 8, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* The environment says that srun started two of this, and nothing that MPI knows. */
static const rp_config *by_srun(void)
{
    (void)setenv("SLURM_STEP_NUM_TASKS", "2", 1);
    return NULL;
}

static made_call *asked;
static rp_status answer;

static rp_status asks(rp_call *at, const void *arg, size_t bytes)
{
    (void)at;
    (void)arg;
    (void)bytes;
    answer = asked();
    return RP_OK;
}
RP_TASK(asks);

static void in_a_task(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    asked = made;
    answer = RP_OK;
    CU_ASSERT_EQUAL_FATAL(rp_open(NULL, &pool), RP_OK);
    CU_ASSERT_EQUAL(rp_apply(pool, asks, NULL, 0, NULL, 0, NULL), RP_OK);
    compare(answer, status, what);
    CU_ASSERT_PTR_NULL(no_pool);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* clang-format off */
#define OPENING(X) \
    X(rp_open, RP_ERR_INVALID, no_pool, (NULL, NULL)) \
    X(rp_open, RP_ERR_INVALID, no_struct_size, (&no_size, &pool)) \
    X(rp_open, RP_ERR_INVALID, odd_struct_size, (CONFIG(.struct_size = ODD), &pool)) \
    X(rp_open, RP_ERR_INVALID, processes_below_0, (CONFIG(.processes = -1), &pool)) \
    X(rp_open, RP_ERR_INVALID, no_init_arg, (CONFIG(.initializer = echo, .init_arg = { NULL, 1 }), &pool)) \
    X(rp_open, RP_ERR_INVALID, init_arg_too_large, (CONFIG(.initializer = echo, .init_arg = { room, TOO_BIG }), &pool)) \
    X(rp_open, RP_ERR_INVALID, no_such_isolation, (CONFIG(.isolation = (rp_isolation)3), &pool)) \
    X(rp_open, RP_ERR_INVALID, no_such_toggle, (CONFIG(.master_works = (rp_toggle)3), &pool)) \
    X(rp_open, RP_ERR_INVALID, no_such_background, (CONFIG(.background = (rp_toggle)-1), &pool)) \
    X(rp_open, RP_ERR_INVALID, no_open_timeout, (CONFIG(.open_timeout = (double)NAN), &pool)) \
    X(rp_open, RP_ERR_INVALID, lost_after_below_0, (CONFIG(.lost_after = -1), &pool)) \
    X(rp_open, RP_ERR_INVALID, host_timeout_below_1, (CONFIG(.host_timeout = 0.5), &pool)) \
    X(rp_open, RP_ERR_INVALID, no_cancel_grace, (CONFIG(.isolation = RP_FORK, .cancel_grace = (double)NAN), &pool)) \
    X(rp_open, RP_ERR_INVALID, grace_inline, (CONFIG(.cancel_grace = 1), &pool)) \
    X(rp_open, RP_ERR_INVALID, tasks_per_child_inline, (CONFIG(.tasks_per_child = 1), &pool)) \
    X(rp_open, RP_ERR_INVALID, journal_without_name, (CONFIG(.journal = ""), &pool)) \
    X(rp_open, RP_ERR_INVALID, sync_without_journal, (CONFIG(.journal_sync = true), &pool)) \
    X(rp_open, RP_ERR_INVALID, trace_without_name, (CONFIG(.trace = ""), &pool)) \
    X(rp_open, RP_ERR_UNREGISTERED, stranger, (CONFIG(.initializer = stranger), &pool)) \
    X(rp_open, RP_ERR_NOMEM, no_memory, (CONFIG(.alloc = no_memory), &pool)) \
    X(rp_open, RP_ERR_BROKEN, initializer_fails, (CONFIG(.initializer = fails), &pool)) \
    X(rp_open, RP_ERR_MPI, srun_without_pmi, (by_srun(), &pool)) \
    X(rp_open, RP_ERR_IO, no_journal, (CONFIG(.journal = NOWHERE), &pool)) \
    X(rp_open, RP_ERR_IO, no_trace, (CONFIG(.trace = NOWHERE), &pool)) \
    X(rp_open_comm, RP_ERR_INVALID, before_mpi, (MPI_COMM_SELF, NULL, &pool))

#define IN_A_TASK(X) \
    X(rp_open, RP_ERR_CONTEXT, in_a_task, (NULL, &no_pool)) \
    X(rp_open, RP_ERR_CONTEXT, null_in_a_task, (NULL, NULL)) \
    X(rp_open_comm, RP_ERR_CONTEXT, in_a_task, (MPI_COMM_SELF, NULL, &no_pool))
/* clang-format on */

#define HERE opening
OPENING(CALL)
#undef HERE
#define HERE in_a_task
IN_A_TASK(CALL)
#undef HERE

/* ---- over a communicator: MPI is initialised from here on ---- */

static int start_mpi(void)
{
    int level, ready = 0;
    (void)MPI_Initialized(&ready);
    return !ready && MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS;
}

static void over_a_communicator(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    compare(made(), status, what);
    mpi_fails = false;
    CU_ASSERT_PTR_NULL(pool);
    CU_ASSERT_EQUAL_FATAL(rp_open_comm(MPI_COMM_SELF, NULL, &pool), RP_OK);
    CU_ASSERT_EQUAL(rp_apply(pool, echo, room, 8, room, 8, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static MPI_Comm failing(void)
{
    mpi_fails = true;
    return MPI_COMM_SELF;
}

/* clang-format off */
#define OVER_A_COMMUNICATOR(X) \
    X(rp_open_comm, RP_ERR_INVALID, no_pool, (MPI_COMM_SELF, NULL, NULL)) \
    X(rp_open_comm, RP_ERR_INVALID, no_communicator, (MPI_COMM_NULL, NULL, &pool)) \
    X(rp_open_comm, RP_ERR_INVALID, odd_struct_size, (MPI_COMM_SELF, CONFIG(.struct_size = ODD), &pool)) \
    X(rp_open_comm, RP_ERR_UNREGISTERED, stranger, (MPI_COMM_SELF, CONFIG(.initializer = stranger), &pool)) \
    X(rp_open_comm, RP_ERR_NOMEM, no_memory, (MPI_COMM_SELF, CONFIG(.alloc = no_memory), &pool)) \
    X(rp_open_comm, RP_ERR_BROKEN, initializer_fails, (MPI_COMM_SELF, CONFIG(.initializer = fails), &pool)) \
    X(rp_open_comm, RP_ERR_MPI, mpi_fails, (failing(), NULL, &pool)) \
    X(rp_open_comm, RP_ERR_IO, no_journal, (MPI_COMM_SELF, CONFIG(.journal = NOWHERE), &pool))
/* clang-format on */

#define HERE over_a_communicator
OVER_A_COMMUNICATOR(CALL)
#undef HERE

/* ---- registering; last, for a process that has given too many names opens no pool any more
 *   ---- */

static char name[16];
static int names;

static rp_status next_name(void)
{
    (void)snprintf(name, sizeof name, "n%06d", ++names);
    return rp_register(name, echo);
}

/* The address space may not grow from now on, while names are given: sooner or later there is no
 * memory for one.  That is the name. */
static const char *one_too_many(void)
{
    struct rlimit low;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CU_ASSERT_TRUE_FATAL(file && fscanf(file, "%lu", &pages) == 1);
    (void)fclose(file);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_AS, &low), 0);
    low.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &low), 0);
    while (next_name() == RP_OK)
        continue;
    return name;
}

static void without_memory(made_call *made, rp_status status, const char *what)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* which die of it */
    (void)made, (void)status, (void)what;
#else
    struct rlimit before;
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_AS, &before), 0);
    rp_status got = made();
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &before), 0);
    compare(got, status, what);
    compare(rp_register(name, echo), RP_OK, "the same again");
#endif
}

static void too_many_names(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    for (rp_status given = RP_OK; given == RP_OK;)
        given = next_name();
    rp_register_at(name, echo, __FILE__, __LINE__);
    compare(made(), status, what);
    CU_ASSERT_PTR_NULL(pool);
}

/* clang-format off */
#define WITHOUT_MEMORY(X) \
    X(rp_register, RP_ERR_NOMEM, no_memory, (one_too_many(), echo))

#define TOO_MANY_NAMES(X) \
    X(rp_register, RP_ERR_FULL, too_many_names, ("another", echo)) \
    X(rp_open, RP_ERR_FULL, too_many_names, (NULL, &pool)) \
    X(rp_open_comm, RP_ERR_FULL, too_many_names, (MPI_COMM_SELF, NULL, &pool))
/* clang-format on */

#define HERE without_memory
WITHOUT_MEMORY(CALL)
#undef HERE
#define HERE too_many_names
TOO_MANY_NAMES(CALL)
#undef HERE

int main(int argc, char **argv)
{
    static CU_TestInfo opens[] = { OPENING(TEST) IN_A_TASK(TEST) CU_TEST_INFO_NULL };
    static CU_TestInfo comm[] = { OVER_A_COMMUNICATOR(TEST) CU_TEST_INFO_NULL };
    static CU_TestInfo registers[] = { WITHOUT_MEMORY(TEST) TOO_MANY_NAMES(TEST)
                                           CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "opening", NULL, NULL, NULL, NULL, opens },
                                     { "communicator", start_mpi, NULL, NULL, NULL, comm },
                                     { "registering", start_mpi, NULL, NULL, NULL, registers },
                                     CU_SUITE_INFO_NULL };
    int status = harness_main(argc, argv, suites);
    (void)MPI_Finalize();
    return status;
}
