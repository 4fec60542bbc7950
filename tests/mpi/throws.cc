// A program for throws.sh: something that rankpool calls throws an exception.
//   throws WHO [fork]     task, item, initializer, finalizer, on_done, source, log, alloc
#include <rankpool.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

static const char *who = "";
static bool armed; // the log and the allocator throw from then on

static void throw_as(const char *name)
{
    if (std::strcmp(who, name) == 0)
        throw std::runtime_error("thrown by the " + std::string(name));
}

static rp_status bystander(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(bystander);

static rp_status culprit(rp_call *, const void *, size_t)
{
    throw_as("task");
    return RP_OK;
}
RP_TASK(culprit);

static rp_status item(rp_call *, const void *arg, size_t)
{
    if (*static_cast<const int *>(arg) == 34)
        throw_as("item");
    return RP_OK;
}
RP_TASK(item);

static rp_status initializer(rp_call *, const void *, size_t)
{
    throw_as("initializer");
    return RP_OK;
}
RP_TASK(initializer);

static void finalizer(void *)
{
    throw_as("finalizer");
}

static void on_done(rp_pool *, rp_future, const rp_outcome *, void *)
{
    throw_as("on_done");
}

static bool source(void *context, rp_bytes *next)
{
    int *left = static_cast<int *>(context);
    throw_as("source");
    next->data = left;
    next->size = sizeof *left;
    return (*left)-- > 0;
}

static void log(rp_level, const char *line, void *)
{
    std::fprintf(stderr, "logged: %s\n", line);
    if (armed)
        throw_as("log");
}

static void *alloc(void *old, size_t size, void *)
{
    if (armed && size)
        throw_as("alloc");
    if (size)
        return std::realloc(old, size);
    std::free(old);
    return nullptr;
}

static rp_status play(rp_pool *pool)
{
    int items[100], left = 10;
    rp_future future;
    rp_stream *stream = nullptr;
    rp_item got = rp_item();
    rp_task_options options = rp_task_options();
    got.struct_size = sizeof got;
    options.struct_size = sizeof options;
    options.on_done = on_done;
    for (int i = 0; i < 100; i++)
        items[i] = i;
    rp_status status = rp_submit(pool, bystander, items, sizeof *items, &options, &future);
    if (status == RP_OK)
        status = rp_get(pool, future, RP_FOREVER, items, sizeof *items, nullptr);
    if (status == RP_OK)
        status = rp_imap(pool, bystander, source, &left, nullptr, &stream);
    while (status == RP_OK)
        status = rp_stream_next(stream, RP_FOREVER, &got);
    if (status == RP_END)
        status = rp_stream_close(&stream);
    armed = true;
    if (status == RP_OK)
        status = rp_share(pool, "name", items, sizeof items);
    if (status == RP_OK)
        status = rp_map(pool, item, items, sizeof *items, 100, nullptr, 0, nullptr);
    if (status == RP_OK)
        status = rp_apply(pool, culprit, nullptr, 0, nullptr, 0, nullptr);
    return status;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    rp_config config = rp_config();
    config.struct_size = sizeof config;
    who = argc > 1 ? argv[1] : "";
    config.isolation = argc > 2 && std::strcmp(argv[2], "fork") == 0 ? RP_FORK : RP_INLINE;
    config.initializer = initializer;
    config.finalizer = finalizer;
    config.log = log;
    config.alloc = alloc;
    config.respawn = std::strcmp(who, "log") == 0; // of which a pool of two ranks and more warns
    try {
        armed = std::strcmp(who, "log") == 0;
        if (rp_open(&config, &pool) != RP_OK) {
            std::printf("open: %s\n", rp_error_message());
            return 3;
        }
        if (!pool)
            return 0;
        rp_status played = play(pool);
        std::printf("play: %s\n", played == RP_OK ? "success" : rp_error_message());
        armed = false;
        rp_status status = rp_close(&pool);
        std::printf("close: %s\n", rp_strerror(status));
        return status != RP_OK || played != RP_OK;
    } catch (const std::exception &error) {
        std::printf("main caught: %s\n", error.what());
        return 5;
    }
}
