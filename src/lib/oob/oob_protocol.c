#include "oob/oob_protocol.h"

#include "base/bytes.h"

#include <string.h>

#define HIGHEST 64 /* a number of the system's signals */

void rpi_oob_protocol_read(struct rpi_oob_protocol *signals, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == RPI_OOB_SIGNAL_RING) {
            signals->rung = true;
            signals->parked = false;
        } else if (bytes[i] == RPI_OOB_SIGNAL_PARKED) {
            signals->parked = true;
        } else if (bytes[i] == RPI_OOB_SIGNAL_PARTED) {
            signals->parted = true;
        }
    }
}

/* ---- last words */

void rpi_oob_words_write(uint8_t *bytes, const struct rpi_death *death)
{
    bytes[0] = RPI_OOB_SIGNAL_WORDS;
    rpi_put64(bytes + 1, death->id);
    rpi_put64(bytes + 9, death->item);
    rpi_put32(bytes + 17, (uint32_t)death->code);
    bytes[21] = death->attempt;
    bytes[22] = death->way;
}

void rpi_oob_count_write(uint8_t *bytes, uint32_t sent)
{
    bytes[0] = RPI_OOB_SIGNAL_COUNT;
    rpi_put32(bytes + 1, sent);
}

static bool is_death(const struct rpi_death *death)
{
    if (death->way == RPI_WAY_SIGNAL && (death->code < 1 || death->code > HIGHEST))
        return false;
    return death->id && death->attempt && death->way > RPI_WAY_NONE &&
           death->way <= RPI_WAY_QUICK_EXIT;
}

static void take_words(struct rpi_oob_words *words)
{
    const uint8_t *bytes = words->bytes;
    const struct rpi_death death = { .id = rpi_get64(bytes + 1),
                                     .item = rpi_get64(bytes + 9),
                                     .code = (int32_t)rpi_get32(bytes + 17),
                                     .attempt = bytes[21],
                                     .way = bytes[22] };
    words->death = is_death(&death) ? death : (struct rpi_death){ .way = RPI_WAY_NONE };
}

/* The length of the record that begins so; 0: none does. */
static uint8_t record_of(uint8_t first)
{
    return first == RPI_OOB_SIGNAL_WORDS   ? RPI_OOB_WORDS_BYTES
           : first == RPI_OOB_SIGNAL_COUNT ? RPI_OOB_COUNT_BYTES
                                           : 0;
}

void rpi_oob_words_read(struct rpi_oob_words *words, struct rpi_oob_protocol *signals,
                        const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!words->used && !record_of(bytes[i])) {
            rpi_oob_protocol_read(signals, bytes + i, 1);
            continue;
        }
        words->bytes[words->used++] = bytes[i];
        if (words->used < record_of(words->bytes[0]))
            continue;
        words->used = 0;
        if (words->bytes[0] == RPI_OOB_SIGNAL_WORDS)
            take_words(words);
        else
            words->sent = rpi_get32(words->bytes + 1);
    }
}

/* ---- proofs */

void rpi_oob_proof_write(uint8_t *bytes, const uint8_t *token, uint32_t worker)
{
    memcpy(bytes, token, RPI_OOB_TOKEN_BYTES);
    rpi_put32(bytes + RPI_OOB_TOKEN_BYTES, worker);
}

/* In a time that does not tell how much of it is right. */
static bool same(const uint8_t *a, const uint8_t *b)
{
    unsigned different = 0;
    for (size_t i = 0; i < RPI_OOB_TOKEN_BYTES; i++)
        different |= (unsigned)(a[i] ^ b[i]);
    return different == 0;
}

enum rpi_oob_proof_state rpi_oob_proof_take(struct rpi_oob_proof *proof, const uint8_t *token,
                                            int most, const uint8_t *bytes, size_t size,
                                            int *worker)
{
    size_t lacking = RPI_OOB_PROOF_BYTES - proof->used;
    if (size > lacking)
        size = lacking;
    if (size)
        memcpy(proof->bytes + proof->used, bytes, size);
    proof->used += (uint32_t)size;
    if (proof->used < RPI_OOB_PROOF_BYTES)
        return RPI_OOB_PROOF_INCOMPLETE;
    uint32_t number = rpi_get32(proof->bytes + RPI_OOB_TOKEN_BYTES);
    if (!same(proof->bytes, token) || number < 1 || number > (uint32_t)most)
        return RPI_OOB_PROOF_WRONG;
    *worker = (int)number;
    return RPI_OOB_PROOF_RIGHT;
}
