#include "raw.h"

#include "figure.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TRIPS        50000
#define ECHOES       300000
#define WINDOW_MOST  256
#define FRAMED       2000000
#define FRAME        24 /* bytes: header and payload */
#define BATCH        4032
#define BATCH_TASKS  ((BATCH - 16) / FRAME)
#define BATCHES_MOST 8

static int shorter = 1;

void raw_shorten(int times)
{
    shorter = times;
}

double ping_pong(MPI_Comm comm, int rank)
{
    int trips = TRIPS / shorter;
    double x = 1, begin = MPI_Wtime();
    for (int i = 0; i < trips; i++) {
        if (rank == 0) {
            (void)MPI_Send(&x, 8, MPI_BYTE, 1, 1, comm);
            (void)MPI_Recv(&x, 8, MPI_BYTE, 1, 1, comm, MPI_STATUS_IGNORE);
        } else {
            (void)MPI_Recv(&x, 8, MPI_BYTE, 0, 1, comm, MPI_STATUS_IGNORE);
            (void)MPI_Send(&x, 8, MPI_BYTE, 0, 1, comm);
        }
    }
    return (MPI_Wtime() - begin) / trips;
}

static double echo_once(MPI_Comm comm, int rank, int window, int tasks)
{
    MPI_Request in[WINDOW_MOST], out[WINDOW_MOST];
    double sent[WINDOW_MOST], received[WINDOW_MOST];
    double begin = MPI_Wtime();
    for (int i = 0; i < window; i++)
        in[i] = out[i] = MPI_REQUEST_NULL;
    for (int i = 0; i < tasks + window; i++) {
        int slot = i % window;
        if (i >= window) {
            (void)MPI_Wait(&in[slot], MPI_STATUS_IGNORE);
            (void)MPI_Wait(&out[slot], MPI_STATUS_IGNORE);
            if (rank == 1) {
                sent[slot] = 2 * received[slot];
                (void)MPI_Isend(&sent[slot], 8, MPI_BYTE, 0, 2, comm, &out[slot]);
            }
        }
        if (i < tasks) {
            if (rank == 0) {
                sent[slot] = i;
                (void)MPI_Isend(&sent[slot], 8, MPI_BYTE, 1, 2, comm, &out[slot]);
            } else {
                (void)MPI_Wait(&out[slot], MPI_STATUS_IGNORE);
            }
            (void)MPI_Irecv(&received[slot], 8, MPI_BYTE, 1 - rank, 2, comm, &in[slot]);
        }
    }
    for (int i = 0; i < window; i++)
        (void)MPI_Wait(&out[i], MPI_STATUS_IGNORE);
    return tasks / (MPI_Wtime() - begin);
}

double windowed_echo(MPI_Comm comm, int rank)
{
    static const int windows[] = { 4, 16, 64, 256 };
    double best = 0;
    for (int i = 0; i < 4; i++) {
        double rate = echo_once(comm, rank, windows[i], ECHOES / shorter);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- framed */

static void put64(unsigned char *to, uint64_t value)
{
    memcpy(to, &value, 8);
}

static uint64_t get64(const unsigned char *from)
{
    uint64_t value;
    memcpy(&value, from, 8);
    return value;
}

static void put_frame(unsigned char *at, uint64_t id, uint32_t attempt, const void *payload)
{
    put64(at, id);
    put64(at + 8, (uint64_t)8 << 32 | (uint64_t)attempt << 16 | 1); /* length, attempt, function */
    memcpy(at + 16, payload, 8);
}

struct framed {
    MPI_Comm comm;
    unsigned char *batches; /* this many of BATCH bytes for each direction */
    MPI_Request out[BATCHES_MOST];
    double *results;
    int tasks, filled, stored;
};

static unsigned char *bytes_of(const struct framed *framed, int slot, int direction)
{
    return framed->batches + (size_t)(2 * slot + direction) * BATCH;
}

static void send_tasks(struct framed *framed, int slot)
{
    unsigned char *at = bytes_of(framed, slot, 0) + 16;
    int count = framed->tasks - framed->filled < BATCH_TASKS ? framed->tasks - framed->filled
                                                             : BATCH_TASKS;
    (void)MPI_Wait(&framed->out[slot], MPI_STATUS_IGNORE);
    put64(bytes_of(framed, slot, 0), (uint64_t)count);
    for (int i = 0; i < count; i++, at += FRAME) {
        double x = framed->filled + i;
        put_frame(at, (uint64_t)framed->filled + (uint64_t)i, 1, &x);
    }
    framed->filled += count;
    (void)MPI_Isend(bytes_of(framed, slot, 0), 16 + count * FRAME, MPI_BYTE, 1, 3, framed->comm,
                    &framed->out[slot]);
}

static void store_results(struct framed *framed, int slot)
{
    const unsigned char *in = bytes_of(framed, slot, 1), *at = in + 16;
    (void)MPI_Recv(bytes_of(framed, slot, 1), BATCH, MPI_BYTE, 1, 3, framed->comm,
                   MPI_STATUS_IGNORE);
    int count = (int)get64(in);
    for (int i = 0; i < count; i++, at += FRAME) {
        uint64_t id = get64(at);
        if (get64(at + 8) >> 32 == 8 && id < FRAMED)
            memcpy(&framed->results[id], at + 16, 8);
    }
    framed->stored += count;
}

static void answer(struct framed *framed, int slot)
{
    const unsigned char *in = bytes_of(framed, slot, 0), *at = in + 16;
    unsigned char *out = bytes_of(framed, slot, 1), *to = out + 16;
    (void)MPI_Recv(bytes_of(framed, slot, 0), BATCH, MPI_BYTE, 0, 3, framed->comm,
                   MPI_STATUS_IGNORE);
    (void)MPI_Wait(&framed->out[slot], MPI_STATUS_IGNORE);
    int count = (int)get64(in);
    put64(out, (uint64_t)count);
    for (int i = 0; i < count; i++, at += FRAME, to += FRAME) {
        double x;
        memcpy(&x, at + 16, 8);
        x *= 2;
        if (get64(at + 8) >> 32 == 8)
            put_frame(to, get64(at), 1, &x);
    }
    framed->stored += count;
    (void)MPI_Isend(out, 16 + count * FRAME, MPI_BYTE, 0, 3, framed->comm, &framed->out[slot]);
}

static double framed_once(struct framed *framed, int rank, int window)
{
    framed->filled = framed->stored = 0;
    for (int i = 0; i < window; i++)
        framed->out[i] = MPI_REQUEST_NULL;
    (void)MPI_Barrier(framed->comm);
    double begin = MPI_Wtime();
    for (int i = 0; i < window && rank == 0; i++)
        send_tasks(framed, i);
    for (int slot = 0; framed->stored < framed->tasks; slot = (slot + 1) % window) {
        if (rank == 1) {
            answer(framed, slot);
            continue;
        }
        store_results(framed, slot);
        if (framed->filled < framed->tasks)
            send_tasks(framed, slot);
    }
    double rate = framed->tasks / (MPI_Wtime() - begin);
    (void)MPI_Waitall(window, framed->out, MPI_STATUSES_IGNORE);
    return rate;
}

double framed_echo(MPI_Comm comm, int rank)
{
    static double results[FRAMED];
    struct framed framed = { .comm = comm, .results = results, .tasks = FRAMED / shorter };
    double best = 0;
    framed.batches = malloc((size_t)2 * BATCHES_MOST * BATCH);
    must(framed.batches ? RP_OK : RP_ERR_NOMEM, "framed_echo");
    for (int window = 2; window <= BATCHES_MOST; window *= 4) {
        double rate = framed_once(&framed, rank, window);
        best = rate > best ? rate : best;
    }
    free(framed.batches);
    return best;
}

/* ---- large */

static double bandwidth_once(MPI_Comm comm, int rank, int from, size_t size, int messages,
                             int window, char **buffers)
{
    MPI_Request large[WINDOW_MOST], small[WINDOW_MOST];
    char answers[WINDOW_MOST][8] = { 0 };
    (void)MPI_Barrier(comm);
    double begin = MPI_Wtime();
    for (int i = 0; i < messages + window; i++) {
        int slot = i % window;
        if (i >= window && rank == from) {
            (void)MPI_Wait(&small[slot], MPI_STATUS_IGNORE);
            (void)MPI_Wait(&large[slot], MPI_STATUS_IGNORE);
        } else if (i >= window) {
            (void)MPI_Wait(&large[slot], MPI_STATUS_IGNORE);
            (void)MPI_Send(answers[slot], 8, MPI_BYTE, from, 5, comm);
        }
        if (i >= messages)
            continue;
        if (rank == from) {
            (void)MPI_Isend(buffers[slot], (int)size, MPI_BYTE, 1 - from, 4, comm, &large[slot]);
            (void)MPI_Irecv(answers[slot], 8, MPI_BYTE, 1 - from, 5, comm, &small[slot]);
        } else {
            (void)MPI_Irecv(buffers[slot], (int)size, MPI_BYTE, from, 4, comm, &large[slot]);
        }
    }
    return (double)size * messages / (MPI_Wtime() - begin);
}

int next_window(size_t size, int window)
{
    int most = size > (size_t)8 << 20 ? 4 : size >= (size_t)64 << 10 ? 16 : BANDWIDTH_MOST;
    int next = window == 0 ? 2 : window == 2 ? 4 : 4 * window;
    return next <= most ? next : 0;
}

double bandwidth(MPI_Comm comm, int rank, int from, size_t size, int messages)
{
    char *buffers[BANDWIDTH_MOST];
    double best = 0;
    int most = 0;
    for (int window = 0; (window = next_window(size, window));)
        most = window;
    for (int i = 0; i < most; i++) {
        buffers[i] = malloc(size);
        must(buffers[i] ? RP_OK : RP_ERR_NOMEM, "bandwidth");
        memset(buffers[i], i, size);
    }
    for (int window = 0; (window = next_window(size, window));) {
        double rate = bandwidth_once(comm, rank, from, size, messages, window, buffers);
        best = rate > best ? rate : best;
    }
    for (int i = 0; i < most; i++)
        free(buffers[i]);
    return best;
}
