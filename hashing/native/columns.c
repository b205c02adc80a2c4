/* Columns of short texts: count, keep and pick bytes. Text i is data[offsets[i]] up to data[offsets[i + 1]]. */
#include "kernels.h"

/* How many bytes of each text are members of a class, a table of 256 flags. */
KERNEL void tallystick_text_count(const uint8_t *restrict data, const int64_t *restrict offsets, int64_t count,
                                  const uint8_t *restrict members, int64_t *restrict out)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t found = 0;
        for (int64_t k = offsets[i]; k < offsets[i + 1]; k++)
            found += members[data[k]];
        out[i] = found;
    }
}

/* Write the bytes that are members, one text behind the other; ends[i] is where text i ends. `out` has room for all. */
KERNEL void tallystick_text_keep(const uint8_t *restrict data, const int64_t *restrict offsets, int64_t count,
                                 const uint8_t *restrict members, uint8_t *restrict out, int64_t *restrict ends)
{
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = offsets[i]; k < offsets[i + 1]; k++) {
            out[end] = data[k]; /* written over by the next byte, unless it is kept */
            end += members[data[k]];
        }
        ends[i] = end;
    }
}

/* The byte at a place of each text, counted from its end where the place is negative; 0 where there is none. */
KERNEL void tallystick_text_at(const uint8_t *restrict data, const int64_t *restrict offsets, int64_t count,
                               int64_t place, uint8_t *restrict out)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t size = offsets[i + 1] - offsets[i];
        int64_t at = place < 0 ? size + place : place;
        out[i] = at >= 0 && at < size ? data[offsets[i] + at] : 0;
    }
}

/* out[k] = table[data[k]] */
KERNEL void tallystick_text_translate(const uint8_t *restrict data, int64_t size, const uint8_t *restrict table,
                                      uint8_t *restrict out)
{
    for (int64_t k = 0; k < size; k++)
        out[k] = table[data[k]];
}

/* Whether each text is one byte, or the same one several times. */
KERNEL void tallystick_text_same(const uint8_t *restrict data, const int64_t *restrict offsets, int64_t count,
                                 uint8_t *restrict out)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t k = offsets[i];
        while (k < offsets[i + 1] && data[k] == data[offsets[i]])
            k++;
        out[i] = k == offsets[i + 1] && k > offsets[i];
    }
}

/* Whether each text, of digits, has ten of which the last one is their check digit modulo 11 (identifiers.py). */
KERNEL void tallystick_text_checked(const uint8_t *restrict data, const int64_t *restrict offsets, int64_t count,
                                    uint8_t *restrict out)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = 0;
        if (offsets[i + 1] - offsets[i] != 10)
            continue;
        unsigned sum = 0;
        for (unsigned k = 0; k < 9; k++)
            sum += (10 - k) * (data[offsets[i] + k] - (unsigned)'0');
        out[i] = (11 - sum % 11) % 11 == data[offsets[i] + 9] - (unsigned)'0';
    }
}
