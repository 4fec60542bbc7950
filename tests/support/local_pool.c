#include "local_pool.h"

#include "pool.h"

static void no_log(rp_level level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
}

rp_status local_pool_open(struct memory *memory, rp_pool **pool)
{
    rp_config config = RP_CONFIG_INIT, checked;
    struct rpi_alloc alloc = memory_hook(memory);
    struct rpi_registry registry;
    struct rpi_pool_parts parts = { .registry = &registry, .workers = 1, .began = rpi_now() };
    config.alloc = memory_alloc;
    config.alloc_user = memory;
    config.log = no_log;
    rp_status status = rpi_config_check(&config, &checked);
    if (status == RP_OK)
        status = rpi_batch_limit(&parts.batch_limit);
    if (status == RP_OK)
        status = rpi_registry_snapshot(&registry, &alloc);
    if (status != RP_OK)
        return status;
    status = rpi_pool_make(&checked, &parts, pool);
    if (status != RP_OK)
        rpi_registry_fini(&registry);
    return status;
}
