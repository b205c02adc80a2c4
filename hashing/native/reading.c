/* Reading: hash texts and rows in two lanes, and number distinct keys in a table of slots.
 *
 * The hashes are those of hashing/reading/hashes.py, bit for bit. */
#include <string.h>

#include "kernels.h"

typedef struct {
    uint64_t start, first, second;
} lane;

#define OF_NULL UINT64_C(0x9E3779B97F4A7C15)
#define WORD 8
/* Rows between asking for a slot, asking for the key that it names, and comparing. */
#define SLOT_AHEAD 24
#define KEY_AHEAD 12

static inline uint64_t mixed(uint64_t state, uint64_t word, uint64_t first, uint64_t second)
{
    state = (state ^ word) * first;
    state = (state ^ (state >> 32)) * second;
    return state ^ (state >> 29);
}

static inline uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The `left` bytes, 0 to 7, that stand before `end` of the data or further away from it. */
static inline uint64_t last_word(const uint8_t *at, int64_t left, const uint8_t *end)
{
    if (end - at >= WORD)
        return word_at(at) & ((UINT64_C(1) << (8 * left)) - 1);
    uint64_t word = 0;
    for (int64_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

/* low[i], high[i] = the hashes of text i in two lanes, which lies between offsets[i] and offsets[i + 1] of `data`.
 * `valid` has a bit a text, from bit `bit` on, or is NULL where there is no null. Returns how many were hashed: fewer
 * than `count` where offsets point outside of the data. */
KERNEL int64_t tallystick_hash_texts(const uint8_t *restrict data, int64_t size, const int32_t *restrict offsets,
                                     const uint8_t *restrict valid, int64_t bit, int64_t count,
                                     const lane *restrict lanes, uint64_t *restrict low, uint64_t *restrict high)
{
    const lane a = lanes[0], b = lanes[1];
    for (int64_t i = 0; i < count; i++, bit++) {
        if (valid && !(valid[bit >> 3] >> (bit & 7) & 1)) {
            low[i] = a.start ^ OF_NULL;
            high[i] = b.start ^ OF_NULL;
            continue;
        }
        int64_t begin = offsets[i], stop = offsets[i + 1];
        if (begin < 0 || stop < begin || stop > size)
            return i;
        uint64_t length = (uint64_t)(stop - begin) << 32;
        uint64_t one = length ^ a.start, other = length ^ b.start;
        for (; stop - begin > WORD; begin += WORD) {
            uint64_t word = word_at(data + begin);
            one = mixed(one, word, a.first, a.second);
            other = mixed(other, word, b.first, b.second);
        }
        uint64_t word = stop - begin == WORD ? word_at(data + begin)
                                             : last_word(data + begin, stop - begin, data + size);
        low[i] = mixed(one, word, a.first, a.second);
        high[i] = mixed(other, word, b.first, b.second);
    }
    return count;
}

/* Takes a column into the hashes of rows: words[places[i]] into state[i], words[missing] where there is no value.
 * `places` may be NULL: row i has words[i]. */
KERNEL void tallystick_mix(uint64_t *restrict state, const uint64_t *restrict words, const int32_t *restrict places,
                           int64_t missing, uint64_t first, uint64_t second, int64_t count)
{
    if (!places) {
        for (int64_t i = 0; i < count; i++)
            state[i] = mixed(state[i], words[i], first, second);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t place = places[i];
        state[i] = mixed(state[i], words[place < 0 ? missing : place], first, second);
    }
}

/* places[i] = indices[i], or -1 where its bit in `valid`, from bit `bit` on, is not set. */
KERNEL void tallystick_places(const int32_t *restrict indices, const uint8_t *restrict valid, int64_t bit,
                              int32_t *restrict places, int64_t count)
{
    for (int64_t i = 0; i < count; i++, bit++) {
        int32_t held = valid[bit >> 3] >> (bit & 7) & 1;
        places[i] = indices[i] | (held - 1);
    }
}

/* Numbers n keys. `slots` holds numbers, -1 where free; a key's search begins at slot begin & mask and goes on to the
 * next one. Of key k, `begins` and `sames` hold the two hashes, `held` of them at first; a new key gets the next number,
 * and the row where it stands goes to `fresh`. Returns how many keys there are then. At least one slot is free always. */
KERNEL int64_t tallystick_index_add(int32_t *restrict slots, uint64_t mask, uint32_t *restrict begins,
                                    uint64_t *restrict sames, int64_t held, const uint64_t *restrict begin,
                                    const uint64_t *restrict same, int64_t count, int32_t *restrict numbers,
                                    int64_t *restrict fresh)
{
    int64_t next = held;
    for (int64_t i = 0; i < count; i++) {
        if (i + SLOT_AHEAD < count)
            SOON_WRITTEN(&slots[begin[i + SLOT_AHEAD] & mask]);
        if (i + KEY_AHEAD < count) {
            int32_t likely = slots[begin[i + KEY_AHEAD] & mask];
            SOON(&sames[likely < 0 ? 0 : likely]);
        }
        uint64_t at = begin[i] & mask;
        while (slots[at] >= 0 && sames[slots[at]] != same[i])
            at = (at + 1) & mask;
        if (slots[at] < 0) {
            begins[next] = (uint32_t)begin[i];
            sames[next] = same[i];
            fresh[next - held] = i;
            slots[at] = (int32_t)next++;
        }
        numbers[i] = slots[at];
    }
    return next;
}

/* Gives `count` distinct keys, numbered already, slots of a table in which they have none. */
KERNEL void tallystick_index_place(int32_t *restrict slots, uint64_t mask, const uint32_t *restrict begins,
                                   int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + SLOT_AHEAD < count)
            SOON_WRITTEN(&slots[begins[i + SLOT_AHEAD] & mask]);
        uint64_t at = begins[i] & mask;
        while (slots[at] >= 0)
            at = (at + 1) & mask;
        slots[at] = (int32_t)i;
    }
}
