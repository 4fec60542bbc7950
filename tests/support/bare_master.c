#include "bare_master.h"
#include "open/register.h"

#include "harness.h"

struct memory memory;
struct rpi_registry registry;
struct rpi_master master;
double now;

rp_status never_called(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    return RP_OK;
}

int register_add(void)
{
    return rp_register("add", never_called) != RP_OK;
}

void begin_master(int workers, const struct rpi_log *log)
{
    static const struct rpi_log plain = { 0 };
    memory = (struct memory){ .most = 1 << 24 };
    now = 1000;
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_register_snapshot(&registry, &alloc), RP_OK);
    struct rpi_master_config config = { .alloc = alloc,
                                        .log = log ? log : &plain,
                                        .registry = &registry,
                                        .workers = workers,
                                        .batch_limit = BATCH_LIMIT,
                                        .first_generation = 5 };
    CU_ASSERT_EQUAL_FATAL(rpi_master_init(&master, &config), RP_OK);
    for (int i = 0; i <= workers; i++)
        master.roster.seats[i].host = "somehost";
}

void end_master(void)
{
    rpi_master_fini(&master);
    rpi_registry_fini(&registry);
    CU_ASSERT_EQUAL(memory.live, 0);
}

rp_state state_of(uint64_t id)
{
    const struct rpi_future *future = rpi_master_future(&master, id);
    return future ? (rp_state)future->state : RP_STALE;
}

rp_outcome outcome_of(uint64_t id)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    const struct rpi_future *future = rpi_master_future(&master, id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(future);
    CU_ASSERT_EQUAL_FATAL(future->state, RP_DONE);
    rpi_master_outcome(&master, future, &outcome);
    return outcome;
}
