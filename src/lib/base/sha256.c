#include "base/sha256.h"

#include "base/bytes.h"
#include "base/status.h"

#include <openssl/evp.h>

static bool add(EVP_MD_CTX *context, const rp_bytes *piece)
{
    uint8_t length[8];
    rpi_put64(length, piece->size);
    return EVP_DigestUpdate(context, length, sizeof length) == 1 &&
           (piece->size == 0 || EVP_DigestUpdate(context, piece->data, piece->size) == 1);
}

rp_status rpi_sha256(const rp_bytes *pieces, size_t count, uint8_t digest[RPI_SHA256])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; fine && i < count; i++)
        fine = add(context, &pieces[i]);
    fine = fine && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return fine ? RP_OK : rpi_no_memory("a SHA-256 (by libcrypto)");
}
