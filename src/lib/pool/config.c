/* What an rp_config may say. */
#include "base/hosts.h"
#include "base/status.h"
#include "pool/pool.h"

#include <locale.h>
#include <stdlib.h>

#define OPEN_TIMEOUT 60.0
#define CANCEL_GRACE 1.0

static bool toggle_bad(rp_toggle toggle)
{
    return (unsigned)toggle > RP_OFF;
}

static bool is_host_timeout(double seconds)
{
    return seconds >= RPI_HOST_TIMEOUT_LEAST && seconds <= RPI_HOST_TIMEOUT_MOST;
}

/* What is none of its field's values; NULL: nothing. */
static const char *strange(const rp_config *config)
{
    if ((unsigned)config->isolation > RP_FORK)
        return "isolation is none of its values";
    if (toggle_bad(config->master_works))
        return "master_works is none of its values";
    if (toggle_bad(config->background))
        return "background is none of its values";
    if (!(config->open_timeout >= 0))
        return "open_timeout is negative or not a number";
    if (!(config->lost_after >= 0))
        return "lost_after is negative or not a number";
    if (!(config->host_timeout >= 0) ||
        !is_host_timeout(config->host_timeout > 0 ? config->host_timeout : RPI_HOST_TIMEOUT))
        return "host_timeout is neither 0 nor from 1 to 3,600 seconds";
    if (!(config->cancel_grace >= 0))
        return "cancel_grace is negative or not a number";
    if (config->respawn < 0)
        return "respawn is negative";
    if (config->journal && !config->journal[0])
        return "journal is an empty path";
    if (config->trace && !config->trace[0])
        return "trace is an empty path";
    if (config->journal_sync && !config->journal)
        return "journal_sync needs a journal";
    if (config->isolation != RP_FORK && config->tasks_per_child > 0)
        return "tasks_per_child needs isolation = RP_FORK";
    if (config->isolation != RP_FORK && config->cancel_grace > 0)
        return "cancel_grace needs isolation = RP_FORK";
    return NULL;
}

double rpi_pool_config_seconds(const char *text, char **end)
{
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    double seconds = plain ? strtod_l(text, end, plain) : strtod(text, end);
    if (plain)
        freelocale(plain);
    return seconds;
}

/* What rankpool launch was told, or 3 s. */
static rp_status default_host_timeout(double *seconds)
{
    const char *text = getenv(RPI_POOL_HOST_TIMEOUT_SETTING);
    char *end = NULL;
    *seconds = RPI_HOST_TIMEOUT;
    if (!text || !*text)
        return RP_OK;
    double value = rpi_pool_config_seconds(text, &end);
    if (*end || !is_host_timeout(value))
        return rpi_error(RP_ERR_INVALID,
                         RPI_POOL_HOST_TIMEOUT_SETTING " is %s: it must be from 1 to 3,600 seconds",
                         text);
    *seconds = value;
    return RP_OK;
}

rp_status rpi_pool_config_check(const rp_config *config, rp_config *checked)
{
    static const rp_config defaults = RP_CONFIG_INIT;
    double host_timeout;
    rp_status status = default_host_timeout(&host_timeout);
    *checked = defaults;
    checked->open_timeout = OPEN_TIMEOUT;
    checked->host_timeout = host_timeout;
    if (!config)
        return status;
    if (config->struct_size != sizeof *config)
        return rpi_error(RP_ERR_INVALID,
                         "config.struct_size is %zu, not %zu: set it with RP_CONFIG_INIT",
                         config->struct_size, sizeof *config);
    *checked = *config;
    if (!(config->open_timeout > 0))
        checked->open_timeout =
            OPEN_TIMEOUT; /* a refusal too is told to the other ranks, which may come late */
    if (!(config->host_timeout > 0))
        checked->host_timeout = host_timeout;
    if (config->processes < 0)
        return rpi_error(RP_ERR_INVALID, "config.processes is %d: 0 means all", config->processes);
    const char *bad = strange(config);
    if (bad)
        return rpi_error(RP_ERR_INVALID, "config.%s", bad);
    if ((config->init_arg.size && !config->init_arg.data) || config->init_arg.size > UINT32_MAX)
        return rpi_error(RP_ERR_INVALID, "config.init_arg is NULL, or over 4,294,967,295 bytes");
    return config->host_timeout > 0 ? RP_OK : status;
}

struct rpi_isolation rpi_pool_config_isolation(const rp_config *checked)
{
    return (struct rpi_isolation){ .fork = checked->isolation == RP_FORK,
                                   .tasks_per_child = checked->tasks_per_child,
                                   .cancel_grace = checked->cancel_grace > 0 ? checked->cancel_grace
                                                                             : CANCEL_GRACE };
}

rp_status rpi_pool_batch_limit(uint32_t *limit)
{
    const char *text = getenv("RANKPOOL_BATCH_BYTES");
    char *end = NULL;
    *limit = RPI_BATCH_DEFAULT;
    if (!text || !*text)
        return RP_OK;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value < RPI_BATCH_MIN || value > RPI_BATCH_MAX)
        return rpi_error(RP_ERR_INVALID,
                         "RANKPOOL_BATCH_BYTES is %s: it must be a number from %d to %d", text,
                         RPI_BATCH_MIN, RPI_BATCH_MAX);
    *limit = (uint32_t)value & ~7U;
    return RP_OK;
}
