#include "local_pool.h"
#include "open/register.h"

#include "pool/journaling.h"
#include "store/trace.h"
#include "pool/tracing.h"
#include "pool/pool.h"

static void no_log(rp_level level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
}

rp_status local_pool_open(struct memory *memory, rp_pool **pool)
{
    rp_config config = RP_CONFIG_INIT;
    return local_pool_open_as(memory, &config, pool);
}

rp_status local_pool_open_as(struct memory *memory, const rp_config *wanted, rp_pool **pool)
{
    rp_config config = *wanted, checked;
    struct rpi_alloc alloc = memory_hook(memory);
    struct rpi_registry registry;
    struct rpi_pool_parts parts = { .registry = &registry, .workers = 1, .began = rpi_now() };
    config.alloc = memory_alloc;
    config.alloc_user = memory;
    if (!config.log)
        config.log = no_log;
    rp_status status = rpi_pool_config_check(&config, &checked);
    if (status == RP_OK)
        status = rpi_pool_batch_limit(&parts.batch_limit);
    if (status == RP_OK)
        status = rpi_register_snapshot(&registry, &alloc);
    if (status != RP_OK)
        return status;
    status = rpi_journaling_open(&checked, &parts.journal);
    if (status == RP_OK)
        status = rpi_tracing_open(&checked, &parts.trace);
    if (status == RP_OK)
        status = rpi_pool_make(&checked, &parts, pool);
    if (status == RP_OK)
        return RP_OK;
    rpi_journaling_drop(parts.journal);
    rpi_trace_close(parts.trace);
    rpi_registry_fini(&registry);
    return status;
}
