/* Sealing: fetch the digests of a column's values, and keep of what they encrypt to what a token shows. */
#include "kernels.h"

typedef struct {
    uint64_t low, high;
} block;

#define AHEAD 24

/* out[i] = table[source[rows[i]]] ^ states[i], table[missing] where there is no value.
 * `source` and `states` may be NULL: rows[i] is then the place itself; nothing is added. */
KERNEL void tallystick_fetch(const block *restrict table, int64_t missing, const int32_t *restrict source,
                             const int32_t *restrict rows, const block *restrict states, block *restrict out,
                             int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            int64_t next = rows[i + AHEAD];
            if (source)
                next = source[next];
            SOON(&table[next < 0 ? missing : next]);
        }
        int64_t place = rows[i];
        if (source)
            place = source[place];
        const block *value = &table[place < 0 ? missing : place];
        uint64_t low = value->low, high = value->high;
        if (states) {
            low ^= states[i].low;
            high ^= states[i].high;
        }
        out[i].low = low;
        out[i].high = high;
    }
}
