/* mandelbrot: the Mandelbrot set as a PNG picture.
 *
 * Each row of the picture is one item of rp_map, and its result lands where it belongs in the
 * picture. Rows through the set cost a hundred times those above it: the pool hands them out as
 * workers become free.
 *
 * mpirun -n 4 mandelbrot mandelbrot.png 1200 800 */
#include <rankpool.h>

#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SIDE = 30000, /* the picture is held in memory: 2.7 GB at this size */
    MAX_ITERATIONS = 100000000,
    CHANNELS = 3
};

/* The part of the plane that is shown, whatever the shape of the picture: at least this,
 * centred. */
static const double centre_x = -0.7, view_width = 3.2, view_height = 2.4;

/* Far outside 2: then the fraction of an iteration that smooth colouring adds is exact enough to
 * show no bands. */
static const double escape_radius = 256.0;

/* The task's argument. */
struct row {
    uint32_t row, width, height, iterations;
};

struct colour {
    double red, green, blue; /* 0 to 255 */
};

/* After how many iterations z = z * z + c leaves the circle, as a smooth number; negative: it does
 * not. */
static double escape_time(double x, double y, uint32_t iterations)
{
    double zx = 0.0, zy = 0.0;
    for (uint32_t i = 0; i < iterations; i++) {
        double next = zx * zx - zy * zy + x;
        zy = 2.0 * zx * zy + y;
        zx = next;
        double squares = zx * zx + zy * zy;
        if (squares > escape_radius * escape_radius) {
            return fmax(0.0, i + 1 - log2(log2(squares) / (2.0 * log2(escape_radius))));
        }
    }
    return -1.0;
}

/* Black inside; outside, colours that go round slower and slower, as detail near the set takes ever
 * more iterations. */
static struct colour colour_of(double time)
{
    static const double tau = 6.283185307179586;
    double turn = 0.32 * log2(time + 1.0);
    if (time < 0.0)
        return (struct colour){ 0.0, 0.0, 0.0 };
    return (struct colour){ .red = 128.0 - 116.0 * cos(tau * (turn + 0.02)),
                            .green = 130.0 - 114.0 * cos(tau * (turn - 0.10)),
                            .blue = 140.0 - 104.0 * cos(tau * (turn - 0.22)) };
}

/* A sample's colour. (x, y) counts pixels from the middle of the picture. */
static struct colour sample(const struct row *task, double x, double y)
{
    double scale = fmax(view_width / task->width, view_height / task->height);
    return colour_of(escape_time(centre_x + x * scale, y * scale, task->iterations));
}

static struct colour mean(struct colour a, struct colour b)
{
    return (struct colour){ (a.red + b.red) / 2.0, (a.green + b.green) / 2.0,
                            (a.blue + b.blue) / 2.0 };
}

/* Four samples to a pixel: edges are soft. */
static void draw_pixel(const struct row *task, uint32_t column, unsigned char *pixel)
{
    double x = column + 0.5 - task->width / 2.0, y = task->row + 0.5 - task->height / 2.0;
    struct colour above = mean(sample(task, x - 0.25, y - 0.25), sample(task, x + 0.25, y - 0.25));
    struct colour below = mean(sample(task, x - 0.25, y + 0.25), sample(task, x + 0.25, y + 0.25));
    struct colour colour = mean(above, below);
    pixel[0] = (unsigned char)(colour.red + 0.5);
    pixel[1] = (unsigned char)(colour.green + 0.5);
    pixel[2] = (unsigned char)(colour.blue + 0.5);
}

/* The task: a row's number in, its pixels out, written straight into the result. */
static rp_status draw_row(rp_call *call, const void *arg, size_t size)
{
    struct row task = *(const struct row *)arg;
    unsigned char *pixels = rp_reserve(call, (size_t)task.width * CHANNELS);
    (void)size;
    if (pixels == NULL)
        return RP_ERR_NOMEM;
    for (uint32_t column = 0; column < task.width; column++) {
        draw_pixel(&task, column, pixels);
        pixels += CHANNELS;
    }
    return RP_OK;
}
RP_TASK(draw_row);

static rp_status draw(rp_pool *pool, const struct row *shape, struct row *rows,
                      unsigned char *pixels)
{
    for (uint32_t i = 0; i < shape->height; i++) {
        rows[i] = *shape;
        rows[i].row = i;
    }
    return rp_map(pool, draw_row, rows, sizeof *rows, shape->height, pixels,
                  (size_t)shape->width * CHANNELS, NULL);
}

/* Returns false after saying why. */
static bool write_png(FILE *file, const char *name, const struct row *shape,
                      const unsigned char *pixels)
{
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = shape->width,
                        .height = shape->height,
                        .format = PNG_FORMAT_RGB };
    if (!png_image_write_to_stdio(&image, file, 0, pixels, 0, NULL)) {
        fprintf(stderr, "mandelbrot: %s: %s\n", name, image.message);
        return false;
    }
    if (fflush(file) != 0) {
        fprintf(stderr, "mandelbrot: %s: %s\n", name, strerror(errno));
        return false;
    }
    return true;
}

static bool draw_and_write(rp_pool *pool, FILE *file, const char *name, const struct row *shape)
{
    struct row *rows = calloc(shape->height, sizeof *rows);
    unsigned char *pixels = calloc(shape->height, (size_t)shape->width * CHANNELS);
    bool done = false;

    if (rows == NULL || pixels == NULL) {
        fprintf(stderr, "mandelbrot: no memory for %u x %u pixels\n", (unsigned)shape->width,
                (unsigned)shape->height);
    } else if (draw(pool, shape, rows, pixels) != RP_OK) {
        fprintf(stderr, "mandelbrot: %s\n", rp_error_message());
    } else {
        done = write_png(file, name, shape, pixels);
    }
    free(rows);
    free(pixels);
    return done;
}

/* The number in `text`, or 0 when it is not one from 1 to `most`. */
static uint32_t parse_number(const char *text, long most)
{
    char *end;
    long value = strtol(text, &end, 10);
    return end != text && *end == '\0' && value >= 1 && value <= most ? (uint32_t)value : 0;
}

static bool parse_arguments(int argc, char **argv, struct row *shape)
{
    *shape = (struct row){ .width = 960, .height = 720, .iterations = 1000 };
    if ((argc != 2 && argc != 4 && argc != 5) ||
        argv[1][0] == '-') /* no option, and no file's name: ./-x is one */
        return false;
    if (argc >= 4) {
        shape->width = parse_number(argv[2], MAX_SIDE);
        shape->height = parse_number(argv[3], MAX_SIDE);
    }
    if (argc == 5)
        shape->iterations = parse_number(argv[4], MAX_ITERATIONS);
    return shape->width != 0 && shape->height != 0 && shape->iterations != 0;
}

/* What rank 0 does. Returns the exit status. */
static int master(rp_pool *pool, int argc, char **argv)
{
    struct row shape;
    FILE *file;
    bool done, help = argc > 1 && strcmp(argv[1], "--help") == 0;

    if (help || !parse_arguments(argc, argv, &shape)) {
        fprintf(help ? stdout : stderr,
                "usage: mandelbrot FILE.png [WIDTH HEIGHT [ITERATIONS]]\n"
                "WIDTH and HEIGHT: 1 to %d, default 960 720; ITERATIONS: default 1000\n",
                MAX_SIDE);
        return help ? 0 : 2;
    }
    file = fopen(
        argv[1],
        "wb"); /* first: a name that cannot be written is not found out after an hour's work */
    if (file == NULL) {
        fprintf(stderr, "mandelbrot: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    done = draw_and_write(pool, file, argv[1], &shape);
    if (fclose(file) != 0 && done) {
        fprintf(stderr, "mandelbrot: %s: %s\n", argv[1], strerror(errno));
        done = false;
    }
    return done ? 0 : 1;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    int status;

    if (rp_open(NULL, &pool) != RP_OK) {
        fprintf(stderr, "mandelbrot: %s\n", rp_error_message());
        return 1;
    }
    /* What stands before rp_open runs in the workers too: so arguments are looked at, and
     * complained about, after it. */
    if (pool == NULL)
        return 0;
    status = master(pool, argc, argv);
    if (status != 0) {
        (void)rp_terminate(&pool); /* the first error is the one that counts */
    } else if (rp_close(&pool) != RP_OK) {
        fprintf(stderr, "mandelbrot: %s\n", rp_error_message());
        status = 1;
    }
    return status;
}
