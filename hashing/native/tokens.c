/* Sealing: what a column's tokens are made of, and what is kept of them. */
#include <string.h>

#include "kernels.h"

typedef struct {
    uint64_t low, high;
} block;

/* A block as one register of 16 bytes, wherever it lies (a vector of GCC and Clang). */
typedef uint64_t wide __attribute__((vector_size(16), aligned(8), may_alias));

/* Rows ahead of which a digest is asked for: memory takes as long as some twenty rows. */
#define AHEAD 24
/* Blocks of a cache line. */
#define LINE 4

static const block *digest(const block *table, int64_t width, int64_t rows, int64_t place)
{
    return table + (place < 0 ? rows - 1 : place) * width; /* the last row stands for a missing value */
}

/* out[i] = states[i] ^ the first block of row places[i] of a table with `width` blocks a row. */
KERNEL void tallystick_fetch(const block *restrict table, int64_t width, int64_t rows, const int32_t *restrict places,
                             const block *restrict states, block *restrict out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            SOON(digest(table, width, rows, places[i + AHEAD]));
        const wide *value = (const wide *)digest(table, width, rows, places[i]);
        *(wide *)&out[i] = *value ^ *(const wide *)&states[i];
    }
}

/* The derived values of one field: their digests lie side by side, `width` blocks a row. */
typedef struct {
    const block *table;
    const int32_t *places; /* of each row of the batch */
    const int32_t *chosen; /* which `count` of the `width` values are wanted */
    int64_t rows, width, count;
} field;

/* The blocks of all columns of `count` rows from `start` on: column by column, `count` blocks each. What a column's
 * blocks begin with, states[], is read once for all columns, and the digests of a field in one go. */
KERNEL void tallystick_fetch_columns(const field *restrict fields, int64_t many, const block *restrict states,
                                     block *restrict out, int64_t start, int64_t count, int64_t end)
{
    for (int64_t f = 0; f < many; f++) {
        const field *here = &fields[f];
        for (int64_t i = 0; i < count; i++) {
            int64_t row = start + i;
            if (row + AHEAD < end) {
                const block *next = digest(here->table, here->width, here->rows, here->places[row + AHEAD]);
                for (int64_t n = 0; n < here->width; n += LINE)
                    SOON(next + n);
                SOON(next + here->width - 1);
            }
            const block *values = digest(here->table, here->width, here->rows, here->places[row]);
            const wide state = *(const wide *)&states[row];
            for (int64_t n = 0; n < here->count; n++)
                *(wide *)&out[n * count + i] = *(const wide *)&values[here->chosen[n]] ^ state;
        }
        out += here->count * count;
    }
}

/* Keep of the blocks of each column, `count` of them, the first two or four bytes. */
KERNEL void tallystick_keep_columns(const block *restrict made, void *const *outs, const int32_t *restrict sizes,
                                    int64_t many, int64_t start, int64_t count)
{
    for (int64_t n = 0; n < many; n++, made += count) {
        if (sizes[n] == 2) {
            uint16_t *tokens = (uint16_t *)outs[n] + start;
            for (int64_t i = 0; i < count; i++)
                tokens[i] = (uint16_t)made[i].low;
        } else {
            uint32_t *tokens = (uint32_t *)outs[n] + start;
            for (int64_t i = 0; i < count; i++)
                tokens[i] = (uint32_t)made[i].low;
        }
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
            int wanted = 0;
            for (int bit = first; bit < first + 8; bit++)
                wanted |= outs[bit] != NULL;
            if (!wanted)
                continue;
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
