/* nqueens: in how many ways can N queens stand on an N x N board without attacking each other?
 *
 * Rank 0 places the first rows in every way there is; each of these beginnings is one item of
 * rp_map, and a worker counts the ways to go on from it.
 *
 * mpirun -n 4 nqueens 12 */
#include <rankpool.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_QUEENS = 27, /* the largest board ever counted; its count fits 64 bits */
    ROWS_PLACED = 3, /* by rank 0: some thousand beginnings, plenty for many workers */
    MAX_BEGINNINGS = MAX_QUEENS * MAX_QUEENS * MAX_QUEENS
};

/* Some rows filled. Bit i of a mask: column i of the next row is attacked along a column, or along
 * a diagonal that leans left or right. */
struct board {
    uint32_t queens, placed;
    uint32_t columns, left, right;
};

static uint32_t free_columns(const struct board *board)
{
    return ~(board->columns | board->left | board->right) & ((1U << board->queens) - 1);
}

static struct board place(const struct board *board, uint32_t queen)
{
    return (struct board){ .queens = board->queens,
                           .placed = board->placed + 1,
                           .columns = board->columns | queen,
                           .left = (board->left | queen) << 1,
                           .right = (board->right | queen) >> 1 };
}

static uint64_t count_from(const struct board *board)
{
    uint64_t count = 0;
    if (board->placed == board->queens)
        return 1;
    for (uint32_t open = free_columns(board); open != 0; open &= open - 1) {
        struct board next = place(board, open & -open);
        count += count_from(&next);
    }
    return count;
}

/* The task: a board with its first rows filled in, the number of its completions out. */
static rp_status count_completions(rp_call *call, const void *arg, size_t size)
{
    struct board board = *(const struct board *)arg;
    uint64_t count = count_from(&board);
    (void)size;
    return rp_return(call, &count, sizeof count);
}
RP_TASK(count_completions);

/* Appends each way to fill the first `rows` rows to `found`; returns how many there are then. */
static size_t list_beginnings(const struct board *board, uint32_t rows, struct board *found,
                              size_t count)
{
    if (board->placed == rows) {
        found[count] = *board;
        return count + 1;
    }
    for (uint32_t open = free_columns(board); open != 0; open &= open - 1) {
        struct board next = place(board, open & -open);
        count = list_beginnings(&next, rows, found, count);
    }
    return count;
}

static rp_status count_solutions(rp_pool *pool, uint32_t queens, uint64_t *total)
{
    static struct board beginnings[MAX_BEGINNINGS];
    static uint64_t counts[MAX_BEGINNINGS];
    const struct board empty = { .queens = queens };
    uint32_t rows = queens < ROWS_PLACED ? queens : ROWS_PLACED;
    size_t count = list_beginnings(&empty, rows, beginnings, 0);
    uint64_t sum = 0;

    rp_status status = rp_map(pool, count_completions, beginnings, sizeof beginnings[0], count,
                              counts, sizeof counts[0], NULL);
    if (status != RP_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        sum += counts[i];
    *total = sum;
    return RP_OK;
}

/* The number in `text`, or 0 when it is not a board size. */
static uint32_t parse_queens(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    return end != text && *end == '\0' && value >= 1 && value <= MAX_QUEENS ? (uint32_t)value : 0;
}

/* What rank 0 does. Returns the exit status. */
static int master(rp_pool *pool, int argc, char **argv)
{
    bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
    uint32_t queens = parse_queens(argc > 1 ? argv[1] : "8");
    uint64_t total;

    if (help || queens == 0 || argc > 2) {
        fprintf(help ? stdout : stderr, "usage: nqueens [N]     N: 1 to %d, default 8\n",
                MAX_QUEENS);
        return help ? 0 : 2;
    }
    if (count_solutions(pool, queens, &total) != RP_OK) {
        fprintf(stderr, "nqueens: %s\n", rp_error_message());
        return 1;
    }
    if (printf("%lu %llu\n", (unsigned long)queens, (unsigned long long)total) < 0 ||
        fflush(stdout) != 0) {
        perror("nqueens: standard output");
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    int status;

    if (rp_open(NULL, &pool) != RP_OK) {
        fprintf(stderr, "nqueens: %s\n", rp_error_message());
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
        fprintf(stderr, "nqueens: %s\n", rp_error_message());
        status = 1;
    }
    return status;
}
