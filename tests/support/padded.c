#include "padded.h"

#include <string.h>

rp_status return_padded(rp_call *call, int64_t value, size_t size)
{
    if (size == sizeof value)
        return rp_return(call, &value, sizeof value);
    void *all = rp_reserve(call, size); /* a large result */
    if (!all)
        return RP_ERR_NOMEM;
    memset(all, 1, size);
    memcpy(all, &value, sizeof value);
    return RP_OK;
}
