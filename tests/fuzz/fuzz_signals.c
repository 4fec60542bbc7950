/* What rank 0 reads from whoever connects to its side channel: a proof, then signals; both in pieces of any size.
 * Input: the highest number a worker may have u8, a piece's size u8, then what comes. */
#include "fuzz.h"
#include "signals.h"

static const uint8_t token[RPI_TOKEN_BYTES + 1] = "sixteen of bytes";

/* What a whole proof comes to, written a second time. */
static bool is_right(const uint8_t *bytes, size_t size, int most, int *worker)
{
    if (size < RPI_PROOF_BYTES || memcmp(bytes, token, RPI_TOKEN_BYTES) != 0)
        return false;
    uint32_t number = rpi_get32(bytes + RPI_TOKEN_BYTES);
    *worker = (int)number;
    return number >= 1 && number <= (uint32_t)most;
}

/* Returns how many bytes the proof took. */
static size_t read_proof(const uint8_t *bytes, size_t size, size_t piece, int most)
{
    struct rpi_proof proof = { .used = 0 };
    enum rpi_proof_state state = RPI_PROOF_INCOMPLETE;
    int worker = -1, wanted = -1;
    for (size_t at = 0; at < size && state == RPI_PROOF_INCOMPLETE; at += piece) {
        state = rpi_proof_take(&proof, token, most, bytes + at, size - at < piece ? size - at : piece, &worker);
        MUST(proof.used <= RPI_PROOF_BYTES);
    }
    MUST((state == RPI_PROOF_INCOMPLETE) == (size < RPI_PROOF_BYTES));
    MUST((state == RPI_PROOF_RIGHT) == is_right(bytes, size, most, &wanted));
    MUST(state != RPI_PROOF_RIGHT || worker == wanted);
    MUST(state == RPI_PROOF_RIGHT || worker == -1);
    return proof.used;
}

static void read_signals(const uint8_t *bytes, size_t size, size_t piece)
{
    struct rpi_signals whole = { .rung = false }, pieces = { .rung = false };
    rpi_signals_read(&whole, bytes, size);
    for (size_t at = 0; at < size; at += piece)
        rpi_signals_read(&pieces, bytes + at, size - at < piece ? size - at : piece);
    MUST(whole.rung == pieces.rung && whole.parked == pieces.parked && whole.parted == pieces.parted);
    MUST(whole.rung == (memchr(bytes, RPI_SIGNAL_RING, size) != NULL));
    MUST(whole.parted == (memchr(bytes, RPI_SIGNAL_PARTED, size) != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, data + size };
    int most = input_byte(&input);
    size_t piece = 1 + input_byte(&input), got;
    uint8_t *bytes = input_block(&input, size, &got);
    size_t used = read_proof(bytes, got, piece, most);
    read_signals(bytes + used, got - used, piece);
    free(bytes);
    return 0;
}

void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into), const char *into)
{
    static struct output output;
    uint8_t proof[RPI_PROOF_BYTES];
    rpi_proof_write(proof, token, 3);
    output_byte(&output, 5);
    output_byte(&output, 6);
    output_bytes(&output, proof, sizeof proof);
    give("signals_proof", output.bytes, output.used, into);
    output_bytes(&output, "praaprpq", 8);
    give("signals_worker", output.bytes, output.used, into);
    output.bytes[0] = 2;
    give("signals_no_such_worker", output.bytes, output.used, into);
    output.bytes[5] ^= 1;
    give("signals_wrong_token", output.bytes, output.used, into);
}
