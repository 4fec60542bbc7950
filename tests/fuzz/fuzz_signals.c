/* What rank 0 reads from whoever connects to its side channel: a proof, then signals; both in
 * pieces of any size. Input: the highest number a worker may have u8, a piece's size u8, then what
 * comes. */
#include "fuzz.h"
#include "oob/oob_protocol.h"

static const uint8_t token[RPI_OOB_TOKEN_BYTES + 1] = "sixteen of bytes";

/* What a whole proof comes to, written a second time. */
static bool is_right(const uint8_t *bytes, size_t size, int most, int *worker)
{
    if (size < RPI_OOB_PROOF_BYTES || memcmp(bytes, token, RPI_OOB_TOKEN_BYTES) != 0)
        return false;
    uint32_t number = rpi_get32(bytes + RPI_OOB_TOKEN_BYTES);
    *worker = (int)number;
    return number >= 1 && number <= (uint32_t)most;
}

/* Returns how many bytes the proof took. */
static size_t read_proof(const uint8_t *bytes, size_t size, size_t piece, int most)
{
    struct rpi_oob_proof proof = { .used = 0 };
    enum rpi_oob_proof_state state = RPI_OOB_PROOF_INCOMPLETE;
    int worker = -1, wanted = -1;
    for (size_t at = 0; at < size && state == RPI_OOB_PROOF_INCOMPLETE; at += piece) {
        state = rpi_oob_proof_take(&proof, token, most, bytes + at,
                                   size - at < piece ? size - at : piece, &worker);
        MUST(proof.used <= RPI_OOB_PROOF_BYTES);
    }
    MUST((state == RPI_OOB_PROOF_INCOMPLETE) == (size < RPI_OOB_PROOF_BYTES));
    MUST((state == RPI_OOB_PROOF_RIGHT) == is_right(bytes, size, most, &wanted));
    MUST(state != RPI_OOB_PROOF_RIGHT || worker == wanted);
    MUST(state == RPI_OOB_PROOF_RIGHT || worker == -1);
    return proof.used;
}

/* What a whole record comes to, written a second time. */
static struct rpi_death death_of(const uint8_t *record)
{
    struct rpi_death death = { .id = rpi_get64(record + 1),
                               .item = rpi_get64(record + 9),
                               .code = (int32_t)rpi_get32(record + 17),
                               .attempt = record[21],
                               .way = record[22] };
    bool is_signal = death.way == RPI_WAY_SIGNAL, is_way = death.way >= 1 && death.way <= 6;
    if (death.id && death.attempt && is_way &&
        (!is_signal || (death.code >= 1 && death.code <= 64)))
        return death;
    return (struct rpi_death){ .way = RPI_WAY_NONE };
}

static bool same_death(const struct rpi_death *a, const struct rpi_death *b)
{
    return a->id == b->id && a->item == b->item && a->code == b->code && a->attempt == b->attempt &&
           a->way == b->way;
}

/* Last words among signals. */
static void read_words(const uint8_t *bytes, size_t size, size_t piece)
{
    struct rpi_oob_words words = { .used = 0 };
    struct rpi_oob_protocol signals = { .rung = false }, wanted = { .rung = false };
    struct rpi_death death = { .way = RPI_WAY_NONE };
    uint32_t sent = 0;
    size_t at = 0;
    for (; at < size; at += piece) {
        rpi_oob_words_read(&words, &signals, bytes + at, size - at < piece ? size - at : piece);
        MUST(words.used < RPI_OOB_WORDS_BYTES);
    }
    for (at = 0; at < size;) {
        size_t length = bytes[at] == RPI_OOB_SIGNAL_WORDS   ? RPI_OOB_WORDS_BYTES
                        : bytes[at] == RPI_OOB_SIGNAL_COUNT ? RPI_OOB_COUNT_BYTES
                                                            : 1;
        if (size - at < length)
            break;
        if (length == RPI_OOB_WORDS_BYTES)
            death = death_of(bytes + at);
        else if (length == RPI_OOB_COUNT_BYTES)
            sent = rpi_get32(bytes + at + 1);
        else
            rpi_oob_protocol_read(&wanted, bytes + at, 1);
        at += length;
    }
    MUST(words.used == size - at);
    MUST(same_death(&words.death, &death) && words.sent == sent);
    MUST(signals.rung == wanted.rung && signals.parked == wanted.parked &&
         signals.parted == wanted.parted);
    char text[RPI_DEATH_TEXT];
    rpi_death_tell(&words.death, text);
    MUST(memchr(text, 0, sizeof text));
}

static void read_signals(const uint8_t *bytes, size_t size, size_t piece)
{
    struct rpi_oob_protocol whole = { .rung = false }, pieces = { .rung = false };
    rpi_oob_protocol_read(&whole, bytes, size);
    for (size_t at = 0; at < size; at += piece)
        rpi_oob_protocol_read(&pieces, bytes + at, size - at < piece ? size - at : piece);
    MUST(whole.rung == pieces.rung && whole.parked == pieces.parked &&
         whole.parted == pieces.parted);
    MUST(whole.rung == (memchr(bytes, RPI_OOB_SIGNAL_RING, size) != NULL));
    MUST(whole.parted == (memchr(bytes, RPI_OOB_SIGNAL_PARTED, size) != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, data + size };
    int most = input_byte(&input);
    size_t piece = 1 + input_byte(&input), got;
    uint8_t *bytes = input_block(&input, size, &got);
    size_t used = read_proof(bytes, got, piece, most);
    read_signals(bytes + used, got - used, piece);
    read_words(bytes + used, got - used, piece);
    free(bytes);
    return 0;
}

void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into),
                const char *into)
{
    static struct output output;
    uint8_t proof[RPI_OOB_PROOF_BYTES];
    rpi_oob_proof_write(proof, token, 3);
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
    output.bytes[0] = 5;
    output.bytes[5] ^= 1;
    const struct rpi_death death = {
        .id = 77, .item = 3, .code = 11, .attempt = 1, .way = RPI_WAY_SIGNAL
    };
    uint8_t words[RPI_OOB_WORDS_BYTES];
    rpi_oob_words_write(words, &death);
    output_bytes(&output, words, sizeof words);
    give("signals_last_words", output.bytes, output.used, into);
    rpi_oob_count_write(words, 70000);
    output_bytes(&output, words, RPI_OOB_COUNT_BYTES);
    give("signals_count", output.bytes, output.used, into);
}
