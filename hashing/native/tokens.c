/* Sealing: what a column's tokens are made of, and what is kept of them. */
#include <string.h>

#include "kernels.h"

typedef struct {
    uint64_t low, high;
} block;

/* Rows ahead of which a digest is asked for: memory takes as long as some twenty rows. */
#define AHEAD 24

/* out[i] = table[places[i]], or the last of `rows` rows of the table where places[i] is -1. */
static void fetch(const block *restrict table, int64_t rows, const int32_t *restrict places, block *restrict out,
                  int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            int64_t next = places[i + AHEAD];
            SOON(&table[next < 0 ? rows - 1 : next]);
        }
        int64_t place = places[i];
        out[i] = table[place < 0 ? rows - 1 : place];
    }
}

/* The same, with states[i] added (exclusive or). */
static void fetch_and_add(const block *restrict table, int64_t rows, const int32_t *restrict places,
                          const block *restrict states, block *restrict out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            int64_t next = places[i + AHEAD];
            SOON(&table[next < 0 ? rows - 1 : next]);
        }
        int64_t place = places[i];
        const block *value = &table[place < 0 ? rows - 1 : place];
        out[i].low = value->low ^ states[i].low;
        out[i].high = value->high ^ states[i].high;
    }
}

/* `states` may be null: nothing is added then. */
KERNEL void tallystick_fetch(const block *table, int64_t rows, const int32_t *places, const block *states, block *out,
                             int64_t count)
{
    if (states)
        fetch_and_add(table, rows, places, states, out, count);
    else
        fetch(table, rows, places, out, count);
}

/* Keep the first two or four bytes of each block. */
KERNEL void tallystick_narrow(const block *restrict blocks, void *restrict out, int64_t size, int64_t count)
{
    if (size == 2) {
        uint16_t *tokens = out;
        for (int64_t i = 0; i < count; i++)
            tokens[i] = (uint16_t)blocks[i].low;
    } else {
        uint32_t *tokens = out;
        for (int64_t i = 0; i < count; i++)
            tokens[i] = (uint32_t)blocks[i].low;
    }
}

/* Write a bit for each row of `held` that has `bit`, lowest first; return how many rows lack it. */
KERNEL int64_t tallystick_present(const uint64_t *restrict held, uint64_t bit, uint8_t *restrict out, int64_t count)
{
    int64_t present = 0;
    for (int64_t row = 0; row < count; row += 8) {
        int64_t most = count - row < 8 ? count - row : 8;
        unsigned byte = 0;
        for (int64_t i = 0; i < most; i++)
            byte |= (unsigned)((held[row + i] & bit) != 0) << i;
        for (unsigned left = byte; left; left &= left - 1)
            present++;
        out[row / 8] = (uint8_t)byte;
    }
    return count - present;
}

/* out[i] = noise[i] where a row of `member` lacks `bit`. */
KERNEL void tallystick_outside(const uint64_t *restrict member, uint64_t bit, const uint16_t *restrict noise,
                               uint16_t *restrict out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (member[i] & bit) != 0 ? out[i] : noise[i];
}
