/* Data that the application shares by name and replaces, as rank 0's host and those of the
 * workers have them: who finds what where, and that each task sees what was shared when it was
 * submitted. */
#include "inside.h"
#include "master/shared.h"
#include "worker/shared_fetch.h"

#include <stdlib.h>

#define NUMBER(n) ((unsigned long long)(n))
#define RANK_0    1 /* its pid */
#define HOST      3 /* workers on one, as faults.c kills them; rank 0 is on the first */

static const char *const names[SIM_NAMES] = { "a", "b", "c" };

/* Memory that some processes of a host have mapped. */
struct sim_memory {
    uint32_t mapped; /* times */
    uint8_t bytes[];
};

/* A descriptor of it, which others of the host find while its process lives. */
struct sim_file {
    struct rpi_link link;
    int64_t pid;
    int32_t fd;
    int host;
    uint64_t token;
    struct sim_memory *memory;
};

static struct sim_memory *memory_of(void *data)
{
    return (struct sim_memory *)(void *)((uint8_t *)data - offsetof(struct sim_memory, bytes));
}

static void unmap(struct rpi_shm *segment)
{
    if (segment->data && --memory_of(segment->data)->mapped == 0)
        free(memory_of(segment->data));
    segment->data = NULL;
}

static int host_of(int worker)
{
    return (worker + HOST - 1) / HOST - (worker > 0);
}

static struct sim_file *file_of(struct rpi_link *link)
{
    return RPI_MEMBER(link, struct sim_file, link);
}

/* What this process has open; `fd` -1: all of it. */
static void close_files(struct sim *sim, int64_t pid, int32_t fd)
{
    for (struct rpi_link *link = sim->files.next, *next; link != &sim->files; link = next) {
        next = link->next;
        if (file_of(link)->pid != pid || (fd >= 0 && file_of(link)->fd != fd))
            continue;
        rpi_list_remove(link);
        free(file_of(link));
    }
}

/* New room, mapped by who makes it; others find it unless it was made without a descriptor. */
static void make(struct sim *sim, struct rpi_shm *segment, int64_t pid, int host)
{
    struct sim_memory *memory = test_zeroed(sizeof *memory + segment->size);
    memory->mapped = 1;
    segment->data = memory->bytes;
    segment->fd = chance_is(&sim->chance, 0.1) ? -1 : sim->next_fd++;
    if (segment->fd < 0)
        return;
    struct sim_file *file = test_zeroed(sizeof *file);
    *file = (struct sim_file){
        .pid = pid, .fd = segment->fd, .host = host, .token = segment->token, .memory = memory
    };
    rpi_list_init(&file->link);
    rpi_list_append(&sim->files, &file->link);
}

static bool lives(const struct sim *sim, int64_t pid)
{
    for (int i = 1; i <= sim->plan.workers; i++)
        if (sim->workers[i].pid == pid)
            return !sim->workers[i].dead;
    return pid == RANK_0;
}

static bool map(struct sim *sim, int worker, struct rpi_shared_datum *datum)
{
    for (struct rpi_link *link = sim->files.next; link != &sim->files; link = link->next) {
        const struct sim_file *file = file_of(link);
        if (datum->fd < 0 || file->pid != datum->pid || file->fd != datum->fd ||
            file->host != host_of(worker) || file->token != datum->segment.token ||
            !lives(sim, file->pid))
            continue;
        file->memory->mapped++;
        datum->segment.data = file->memory->bytes;
        return true;
    }
    return false;
}

/* ---- at a worker, after src/lib/exec/shared_io.c */

static bool work(struct sim *sim, int worker, struct rpi_shared_datum *datum)
{
    struct rpi_shm *segment = &datum->segment;
    uint8_t *bytes = segment->data;
    if (datum->state == RPI_SEEK)
        return bytes || map(sim, worker, datum);
    if (datum->state == RPI_MAKE && !bytes &&
        chance_is(&sim->chance, sim->plan.fail_ppm ? 0.1 : 0.02))
        return false;
    if (datum->state == RPI_MAKE && !bytes)
        make(sim, segment, sim->workers[worker].pid, host_of(worker));
    if (datum->state == RPI_FILLED && sim_fault_now(sim, SIM_DAMAGE_SHARED))
        bytes[segment->size - 1] ^= 1;
    sim->report->filled += datum->state == RPI_FILLED;
    if (datum->state != RPI_DROPPED && datum->state != RPI_REFUSED)
        return true;
    if (segment->fd >= 0)
        close_files(sim, sim->workers[worker].pid, segment->fd);
    segment->fd = -1;
    unmap(segment);
    return true;
}

bool shares_supply(struct sim *sim, int worker)
{
    struct rpi_worker *engine = &sim->workers[worker].engine;
    bool any = false;
    for (struct rpi_shared_datum *datum; (datum = rpi_shared_fetch_work(engine)); any = true)
        if (!rpi_shared_fetch_worked(engine, datum, work(sim, worker, datum)))
            break;
    return any;
}

void shares_open_worker(struct sim *sim, int worker)
{
    struct rpi_seat *seat = &sim->master.roster.seats[worker];
    if (sim->plan.shares <= 0)
        return;
    sim->workers[worker].pid = ++sim->last_pid;
    seat->pid = sim->last_pid;
    seat->host = sim->hosts[host_of(worker) % SIM_HOSTS];
}

void shares_close_worker(struct sim *sim, int worker)
{
    struct rpi_link *data = &sim->workers[worker].engine.shared_cache.data;
    for (struct rpi_link *link = data->next; link != data; link = link->next)
        unmap(&rpi_shared_datum_of(link)->segment);
    if (sim->workers[worker].pid)
        close_files(sim, sim->workers[worker].pid, -1);
}

void shares_check(struct sim *sim, const rp_call *call, const struct model_task *task)
{
    for (int i = 0; i < SIM_NAMES; i++) {
        const struct model_shared *seen = &task->shared[i];
        size_t size = 77;
        const void *data = rp_shared(call, names[i], &size);
        if (size != seen->size || (size == 0) != (data == NULL) ||
            !pattern_matches(data, size, seen->token))
            model_fail(
                &sim->model,
                "task %llu: \"%s\" has %zu bytes, not the %llu that it had when that was submitted",
                NUMBER(task->place), names[i], size, NUMBER(seen->size));
    }
}

/* ---- at rank 0 */

void shares_open(struct sim *sim)
{
    rpi_list_init(&sim->files);
    sim->last_pid = RANK_0;
    sim->next_fd = 3;
    if (sim->plan.shares <= 0)
        return;
    for (int i = 0; i < SIM_HOSTS; i++)
        sim->hosts[i][0] = (char)('A' + i);
    sim->master.roster.seats[0].pid = RANK_0;
    sim->master.roster.seats[0].host = sim->hosts[0];
}

void shares_bury(struct sim *sim)
{
    for (struct rpi_shared_version *version;
         (version = rpi_shared_versions_dead(&sim->master.versions));) {
        if (version->segment.fd >= 0)
            close_files(sim, RANK_0, version->segment.fd);
        unmap(&version->segment);
        rpi_shared_version_free(&sim->master.versions, version);
    }
}

void shares_close(struct sim *sim)
{
    rpi_shared_versions_end(&sim->master.versions);
    shares_bury(sim);
    if (!rpi_list_empty(&sim->files))
        model_fail(&sim->model, "shared data are not given back");
}

void shares_act(struct sim *sim)
{
    struct chance *chance = &sim->chance;
    int name = (int)chance_below(chance, SIM_NAMES);
    bool removes = chance_is(chance, 0.2);
    uint64_t refused = sim->memory.refused;
    struct rpi_shm segment = { .fd = -1 };
    if (!removes) {
        segment.size = 1 + chance_below(chance, chance_is(chance, 0.3) ? sim->plan.large : 100);
        segment.token = chance_next(chance);
        make(sim, &segment, RANK_0, 0);
        pattern_fill(segment.data, segment.size, segment.token);
    }
    rp_status status = rpi_master_share(&sim->master, names[name], &segment);
    if (status != RP_OK && (status != RP_ERR_NOMEM || sim->memory.refused == refused))
        model_fail(&sim->model, "sharing gave %d", status);
    if (status == RP_OK && sim->model.shared[name].size && sim_fault_now(sim, SIM_WRONG_SHARED))
        return;
    if (status == RP_OK) {
        sim->model.shared[name] = (struct model_shared){ .token = segment.token,
                                                         .size = segment.size };
        sim->report->shared++;
        return;
    }
    if (segment.fd >= 0)
        close_files(sim, RANK_0, segment.fd);
    unmap(&segment);
}

/* ---- all is settled */

static uint32_t current_names(const struct sim *sim)
{
    uint32_t count = 0;
    for (int i = 0; i < SIM_NAMES; i++)
        count += sim->model.shared[i].size > 0;
    return count;
}

void shares_check_rest(struct sim *sim)
{
    uint32_t live = 0;
    for (const struct rpi_link *link = sim->master.versions.live.next;
         link != &sim->master.versions.live; link = link->next)
        live++;
    if (live != current_names(sim) || !rpi_list_empty(&sim->master.versions.dead))
        model_fail(&sim->model, "all is settled, and %u versions live of %u names", live,
                   current_names(sim));
    if (!rpi_list_empty(&sim->master.versions.dying) && !sim->report->lost)
        model_fail(&sim->model, "all is settled, but versions are dying still");
    for (int i = 1; i <= sim->plan.workers; i++) {
        struct rpi_link *data = &sim->workers[i].engine.shared_cache.data;
        for (struct rpi_link *link = data->next; link != data && !sim->workers[i].dead;
             link = link->next)
            if (!rpi_shared_versions_find(&sim->master.versions, rpi_shared_datum_of(link)->number))
                model_fail(&sim->model, "worker %d keeps \"%s\" number %llu for ever", i,
                           rpi_shared_datum_of(link)->name,
                           NUMBER(rpi_shared_datum_of(link)->number));
    }
}
