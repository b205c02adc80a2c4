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

/* Turn eight rows of eight bits into eight columns (Warren, Hacker's Delight, 2nd edition, section 7-3). */
static uint64_t transposed(uint64_t x)
{
    x = (x & 0xAA55AA55AA55AA55u) | (x & 0x00AA00AA00AA00AAu) << 7 | (x >> 7 & 0x00AA00AA00AA00AAu);
    x = (x & 0xCCCC3333CCCC3333u) | (x & 0x0000CCCC0000CCCCu) << 14 | (x >> 14 & 0x0000CCCC0000CCCCu);
    return (x & 0xF0F0F0F00F0F0F0Fu) | (x & 0x00000000F0F0F0F0u) << 28 | (x >> 28 & 0x00000000F0F0F0F0u);
}

/* For each of 64 bits: where outs[bit] is not null, write a bit for each row of `held` that says whether it is set there,
 * lowest first; bits beyond the last row are 0. */
KERNEL void tallystick_present(const uint64_t *restrict held, uint8_t *const *outs, int64_t count)
{
    for (int64_t row = 0; row < count; row += 8) {
        uint64_t rows[8] = {0};
        memcpy(rows, held + row, (size_t)(count - row < 8 ? count - row : 8) * sizeof *rows);
        for (int first = 0; first < 64; first += 8) {
            uint64_t square = 0;
            for (int i = 0; i < 8; i++)
                square |= (rows[i] >> first & 0xFF) << (8 * i);
            square = transposed(square);
            for (int bit = first; bit < first + 8; bit++, square >>= 8)
                if (outs[bit])
                    outs[bit][row / 8] = (uint8_t)square;
        }
    }
}

/* out[i] = noise[i] where a row of `member` lacks `bit`. */
KERNEL void tallystick_outside(const uint64_t *restrict member, uint64_t bit, const uint16_t *restrict noise,
                               uint16_t *restrict out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (member[i] & bit) != 0 ? out[i] : noise[i];
}
