/* sweep: hares and lynxes under measured weather, for a grid of growth rates and appetites.
 *
 *     hares'  = growth * weather(t) * hares * (1 - hares / 10) - appetite * hares * lynxes
 *     lynxes' = 0.5 * appetite * hares * lynxes - 0.4 * lynxes
 *
 * The weather is a table, the same for all points: rank 0 shares it once, and every host keeps one
 * copy.  Each point is one task of a stream; a coarse grid goes before the points between, so that
 * a picture is there early.
 *
 *   mpirun -n 4 sweep [STEPS]      STEPS: of the solver in one entry of the table, default 1
 *
 * The picture on standard output: a letter for each point, by the largest number of lynxes; a line
 * on standard error tells how far it is. */
#include <rankpool.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = 20, /* of growth */
    COLUMNS = 40,
    POINTS = ROWS * COLUMNS,
    SAMPLES = 4096, /* of the weather */
    MAX_STEPS = 1000,
};
static const double SAMPLE = 0.025; /* years from one entry of the table to the next */

struct point {
    double growth, appetite;
    int32_t steps;
};

struct animals {
    double hares, lynxes;
};

/* ---- one point, on a worker */

static struct animals change(const struct point *point, double weather, struct animals now)
{
    double born = point->growth * weather * now.hares * (1 - now.hares / 10);
    double eaten = point->appetite * now.hares * now.lynxes;
    return (struct animals){ .hares = born - eaten, .lynxes = 0.5 * eaten - 0.4 * now.lynxes };
}

static struct animals after(struct animals now, struct animals rate, double time)
{
    return (struct animals){ .hares = now.hares + time * rate.hares,
                             .lynxes = now.lynxes + time * rate.lynxes };
}

/* One step of the classical Runge-Kutta method; the weather goes from `from` to `to` meanwhile. */
static struct animals step(const struct point *point, double from, double to, struct animals now,
                           double time)
{
    double middle = (from + to) / 2;
    struct animals a = change(point, from, now);
    struct animals b = change(point, middle, after(now, a, time / 2));
    struct animals c = change(point, middle, after(now, b, time / 2));
    struct animals d = change(point, to, after(now, c, time));
    struct animals mean = { .hares = (a.hares + 2 * b.hares + 2 * c.hares + d.hares) / 6,
                            .lynxes = (a.lynxes + 2 * b.lynxes + 2 * c.lynxes + d.lynxes) / 6 };
    return after(now, mean, time);
}

/* The task: a point in, the largest number of lynxes out. */
static rp_status most_lynxes(rp_call *call, const void *arg, size_t size)
{
    struct point point = *(const struct point *)arg;
    size_t bytes;
    const double *weather = rp_shared(call, "weather", &bytes);
    struct animals now = { .hares = 2, .lynxes = 1 };
    double most = 0;
    (void)size;
    if (!weather)
        return rp_fail(call, 1, "there is no weather");
    for (size_t i = 0; i + 1 < bytes / sizeof *weather; i++) {
        double slope = (weather[i + 1] - weather[i]) / point.steps;
        for (int k = 0; k < point.steps; k++)
            now = step(&point, weather[i] + k * slope, weather[i] + (k + 1) * slope, now,
                       SAMPLE / point.steps);
        if (now.lynxes > most)
            most = now.lynxes;
    }
    return rp_return(call, &most, sizeof most);
}
RP_TASK(most_lynxes);

/* ---- rank 0 */

/* As if measured: years that differ, from a generator that gives the same on every machine. */
static void make_weather(double *weather)
{
    uint32_t random = 12345;
    double smooth = 1;
    for (int i = 0; i < SAMPLES; i++) {
        double season = i / 40 % 2 ? 1.3 : 0.7;
        random = random * 1664525U + 1013904223U;
        smooth += 0.05 * (season + 0.4 * ((random >> 16) / 65536.0 - 0.5) - smooth);
        weather[i] = smooth;
    }
}

static void tell_progress(int done)
{
    if (done % (POINTS / 50) == 0 || done == POINTS)
        fprintf(stderr, "\rsweep: %d of %d points%s", done, POINTS, done == POINTS ? "\n" : "");
}

/* Every fourth point of every fourth row first, then every second, then the rest. */
static int32_t urgency(int row, int column)
{
    if (row % 4 == 0 && column % 4 == 0)
        return 2;
    return row % 2 == 0 && column % 2 == 0 ? 1 : 0;
}

static rp_status submit_points(rp_stream *stream, int steps)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_status status = RP_OK;
    for (int i = 0; status == RP_OK && i < POINTS; i++) {
        int row = i / COLUMNS, column = i % COLUMNS;
        struct point point = { .growth = 0.5 + 0.1 * row,
                               .appetite = 0.1 + 0.02 * column,
                               .steps = steps };
        options.priority = urgency(row, column);
        status = rp_stream_submit(stream, most_lynxes, &point, sizeof point, &options, NULL);
    }
    return status == RP_OK ? rp_stream_end(stream) : status;
}

static rp_status collect(rp_stream *stream, double *most)
{
    rp_item item = RP_ITEM_INIT;
    rp_status status;
    int done = 0;
    while ((status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK) {
        if (item.outcome->status != RP_OK) {
            fprintf(stderr, "\nsweep: %s\n", item.outcome->message);
            return item.outcome->status;
        }
        memcpy(&most[item.index], item.outcome->data, sizeof *most);
        tell_progress(++done);
    }
    return status == RP_END ? RP_OK : status;
}

static rp_status sweep(rp_pool *pool, int steps, double *most)
{
    static double weather[SAMPLES];
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_stream *stream;
    options.in_flight = POINTS;
    make_weather(weather);
    rp_status status = rp_share(pool, "weather", weather, sizeof weather);
    if (status == RP_OK)
        status = rp_stream_open(pool, &options, &stream);
    if (status != RP_OK)
        return status;
    status = submit_points(stream, steps);
    if (status == RP_OK)
        status = collect(stream, most);
    (void)rp_stream_close(&stream); /* the first error is the one that counts */
    return status;
}

/* Higher growth further up; the letters go from a to z as the lynxes go from 0 to 13. */
static void draw(const double *most)
{
    int best = 0;
    for (int row = ROWS - 1; row >= 0; row--) {
        printf("%.1f ", 0.5 + 0.1 * row);
        for (int column = 0; column < COLUMNS; column++) {
            double lynxes = most[row * COLUMNS + column];
            putchar("abcdefghijklmnopqrstuvwxyz"[lynxes < 13 ? (int)(2 * lynxes) : 25]);
            if (lynxes > most[best])
                best = row * COLUMNS + column;
        }
        putchar('\n');
    }
    int row_of_best = best / COLUMNS;
    printf("most lynxes: %.3f, at growth %.1f and appetite %.2f\n", most[best],
           0.5 + 0.1 * row_of_best, 0.1 + 0.02 * (best % COLUMNS));
}

/* What rank 0 does. Returns the exit status. */
static int master(rp_pool *pool, int argc, char **argv)
{
    static double most[POINTS];
    char *end = NULL;
    bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
    long steps = argc > 1 ? strtol(argv[1], &end, 10) : 1;
    if (help || argc > 2 || (end && (end == argv[1] || *end)) || steps < 1 || steps > MAX_STEPS) {
        fprintf(help ? stdout : stderr, "usage: sweep [STEPS]     STEPS: 1 to %d, default 1\n",
                MAX_STEPS);
        return help ? 0 : 2;
    }
    if (sweep(pool, (int)steps, most) != RP_OK) {
        fprintf(stderr, "sweep: %s\n", rp_error_message());
        return 1;
    }
    draw(most);
    if (fflush(stdout) != 0) {
        perror("sweep: standard output");
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    int status;

    if (rp_open(NULL, &pool) != RP_OK) {
        fprintf(stderr, "sweep: %s\n", rp_error_message());
        return 1;
    }
    if (pool == NULL)
        return 0;
    status = master(pool, argc, argv);
    if (status != 0) {
        (void)rp_terminate(&pool); /* the first error is the one that counts */
    } else if (rp_close(&pool) != RP_OK) {
        fprintf(stderr, "sweep: %s\n", rp_error_message());
        status = 1;
    }
    return status;
}
