/* Codes of distinct values: looked up by row, numbered anew, counted; and hashes of rows, found when they repeat.
 *
 * Kernels that are given places say -1 when one lies outside its array; what they wrote by then is worth nothing.
 */
#include "kernels.h"

#define AHEAD 16

/* A place as NumPy counts: from the end when it is negative. One that is too large stays so. */
static inline uint64_t place_in(int64_t size, int32_t place)
{
    return (uint64_t)((int64_t)place + ((int64_t)(place >> 31) & size));
}

static inline uint64_t place_of(const int32_t *rows, int64_t i, uint64_t size)
{
    return rows ? place_in((int64_t)size, rows[i]) : (uint64_t)i;
}

/* out[i] = source[rows[i]], out[i] = table[source[i]] where there are no rows, or out[i] = table[source[rows[i]]].
 * No line is asked for: a processor that looks ahead fetches as many at a time as the memory gives. */
KERNEL int64_t tallystick_look_up(const int32_t *restrict table, int64_t values, const int32_t *restrict source,
                                  int64_t size, const int32_t *restrict rows, int32_t *restrict out, int64_t count)
{
    if (!rows || !table) { /* one step */
        const int32_t *held = table ? table : source, *places = table ? source : rows;
        int64_t all = table ? values : size;
        for (int64_t i = 0; i < count; i++) {
            uint64_t place = place_in(all, places[i]);
            if (place >= (uint64_t)all)
                return -1;
            out[i] = held[place];
        }
        return count;
    }
    for (int64_t i = 0; i < count; i++) {
        uint64_t place = place_in(size, rows[i]);
        if (place >= (uint64_t)size)
            return -1;
        place = place_in(values, source[place]);
        if (place >= (uint64_t)values)
            return -1;
        out[i] = table[place];
    }
    return count;
}

/* out[i] = words[rows[i]]. */
KERNEL int64_t tallystick_pick(const uint64_t *restrict words, int64_t size, const int32_t *restrict rows,
                               uint64_t *restrict out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (rows[i] < 0 || rows[i] >= size)
            return -1;
        out[i] = words[rows[i]];
    }
    return count;
}

/* Number codes[rows[i]] anew in the order of appearance; -1 stays. `number`, one a code and one more, is full of -1
 * before. `rows` may be NULL. old[k] becomes the code that is k now, and has room for one more than there can be. */
KERNEL int64_t tallystick_in_order(const int32_t *restrict codes, int64_t size, const int32_t *restrict rows,
                                   int64_t count, int32_t *restrict number, int64_t values, int32_t *restrict made,
                                   int32_t *restrict old)
{
    int64_t known = 0;
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            uint64_t next = place_of(rows, i + AHEAD, (uint64_t)size);
            if (next < (uint64_t)size) {
                int64_t code = codes[next];
                SOON_WRITTEN(&number[code < 0 || code > values ? values : code]);
            }
        }
        uint64_t place = place_of(rows, i, (uint64_t)size);
        if (place >= (uint64_t)size)
            return -1;
        int32_t code = codes[place];
        if (code < -1 || code >= values)
            return -1;
        /* Which codes are new is as good as random: no branch on it. */
        int32_t *held = &number[code < 0 ? values : code], is = *held;
        int32_t fresh = (is < 0) & (code >= 0);
        old[known] = code;
        is = fresh ? (int32_t)known : is;
        *held = is;
        made[i] = is;
        known += fresh;
    }
    return known;
}

/* weight[codes[i]] += size[i]; -1 is passed over. */
KERNEL int64_t tallystick_weigh(const int32_t *restrict codes, const int64_t *restrict size, int64_t count,
                                int64_t *restrict weight, int64_t values)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count && codes[i + AHEAD] >= 0 && codes[i + AHEAD] < values)
            SOON_WRITTEN(&weight[codes[i + AHEAD]]);
        if (codes[i] < -1 || codes[i] >= values)
            return -1;
        if (codes[i] >= 0)
            weight[codes[i]] += size[i];
    }
    return count;
}

/* flags[i] |= masks[source[i]]; the last mask is that of a missing value, -1. */
KERNEL int64_t tallystick_mark(const uint64_t *restrict masks, int64_t values, const int32_t *restrict source,
                               uint64_t *restrict flags, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            int64_t next = source[i + AHEAD];
            SOON(&masks[next < 0 || next >= values ? values - 1 : next]);
        }
        uint64_t place = place_of(source, i, (uint64_t)values);
        if (place >= (uint64_t)values)
            return -1;
        flags[i] |= masks[place];
    }
    return count;
}

/* The places of the words that have all bits of `wanted`, in order; says how many they are. */
KERNEL int64_t tallystick_holding(const uint64_t *restrict words, int64_t count, uint64_t wanted,
                                  int32_t *restrict places)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        places[found] = (int32_t)i;
        found += (words[i] & wanted) == wanted;
    }
    return found;
}

#define ODD 0x9E3779B97F4A7C15u

/* The rows that hold all columns, in order, and a 64-bit hash of what each holds; says how many they are. */
KERNEL int64_t tallystick_hash_tuples(const int32_t *const *restrict columns, int64_t width, int64_t count,
                              int32_t *restrict rows, uint64_t *restrict mixed)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        uint64_t hash = 0;
        int32_t signs = 0;
        for (int64_t column = 0; column < width; column++) {
            int32_t code = columns[column][i];
            signs |= code;
            hash ^= (uint64_t)(int64_t)code;
            hash *= ODD;
            hash ^= hash >> 32;
        }
        rows[found] = (int32_t)i;
        mixed[found] = hash * ODD;
        found += signs >= 0;
    }
    return found;
}

/* Where hashes stand of whose bucket, hash & mask, more than `limit` (below 255) hashes are, in order.
 * `seen`, one a bucket, is zero before; a count stops at 255. */
KERNEL int64_t tallystick_suspects(const uint64_t *restrict hashes, int64_t count, uint64_t mask, int64_t limit,
                                   uint8_t *restrict seen, int32_t *restrict places)
{
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            SOON_WRITTEN(&seen[hashes[i + AHEAD] & mask]);
        uint8_t *bucket = &seen[hashes[i] & mask];
        *bucket = (uint8_t)(*bucket + (*bucket < 255));
    }
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            SOON(&seen[hashes[i + AHEAD] & mask]);
        places[found] = (int32_t)i;
        found += seen[hashes[i] & mask] > limit;
    }
    return found;
}

static inline uint64_t spread(uint64_t key, int64_t bits)
{
    key ^= key >> 32;
    key *= ODD;
    key ^= key >> 29;
    key *= ODD;
    return key >> (64 - bits);
}

/* Number keys in the order of their first rows, and say how many there are. `slots` are 2^bits, all -1 before, and
 * more than the keys; a slot holds the first row of a key. */
KERNEL int64_t tallystick_factorize(const uint64_t *restrict keys, int64_t count, int32_t *restrict slots,
                                    int64_t bits, int64_t *restrict codes)
{
    uint64_t last = ((uint64_t)1 << bits) - 1;
    int64_t known = 0;
    for (int64_t i = 0; i < count; i++) {
        if (i + 2 * AHEAD < count)
            SOON_WRITTEN(&slots[spread(keys[i + 2 * AHEAD], bits)]);
        if (i + AHEAD < count) {
            int32_t held = slots[spread(keys[i + AHEAD], bits)];
            if (held >= 0) {
                SOON(&keys[held]);
                SOON(&codes[held]);
            }
        }
        uint64_t slot = spread(keys[i], bits);
        while (slots[slot] >= 0 && keys[slots[slot]] != keys[i])
            slot = (slot + 1) & last;
        if (slots[slot] < 0) {
            slots[slot] = (int32_t)i;
            codes[i] = known++;
        } else {
            codes[i] = codes[slots[slot]];
        }
    }
    return known;
}

#define MOST_IN_BUCKET 64

/* The order in which random keys ascend, equal ones as they stand. `starts`, 2^bits + 1, is zero before. Says -1 when
 * more keys than `MOST_IN_BUCKET` begin with the same `bits` bits: then they are not random. */
KERNEL int64_t tallystick_ascending(const uint64_t *restrict keys, int64_t count, int64_t bits,
                                    int32_t *restrict starts, int32_t *restrict order)
{
    int64_t shift = 64 - bits, buckets = (int64_t)1 << bits;
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            SOON_WRITTEN(&starts[(keys[i + AHEAD] >> shift) + 1]);
        if (starts[(keys[i] >> shift) + 1]++ >= MOST_IN_BUCKET)
            return -1;
    }
    for (int64_t bucket = 0; bucket < buckets; bucket++)
        starts[bucket + 1] += starts[bucket];
    for (int64_t i = 0; i < count; i++) {
        if (i + 2 * AHEAD < count)
            SOON_WRITTEN(&starts[keys[i + 2 * AHEAD] >> shift]);
        if (i + AHEAD < count)
            SOON_WRITTEN(&order[starts[keys[i + AHEAD] >> shift]]);
        order[starts[keys[i] >> shift]++] = (int32_t)i;
    }
    uint64_t before = 0, prefix = 1; /* no key begins so */
    int64_t begin = 0;
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            SOON(&keys[order[i + AHEAD]]);
        int32_t row = order[i];
        uint64_t key = keys[row];
        if (i == 0 || key >> shift != prefix) {
            prefix = key >> shift;
            begin = i;
        } else if (key < before) {
            int64_t at = i;
            for (; at > begin && keys[order[at - 1]] > key; at--)
                order[at] = order[at - 1];
            order[at] = row;
            continue; /* the largest so far stays the last */
        }
        before = key;
    }
    return count;
}

/* Order rows by the number that each bears, equal ones as they stand. `rows` may be NULL: 0, 1, …; `starts`, one more
 * than the numbers, is zero before. */
KERNEL int64_t tallystick_grouped(const int32_t *restrict number, int64_t size, const int32_t *restrict rows,
                                  int64_t count, int32_t *restrict starts, int64_t numbers, int32_t *restrict out)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t place = place_of(rows, i, (uint64_t)size);
        if (place >= (uint64_t)size || number[place] < 0 || number[place] >= numbers)
            return -1;
        starts[number[place] + 1]++;
    }
    for (int64_t each = 0; each < numbers; each++)
        starts[each + 1] += starts[each];
    for (int64_t i = 0; i < count; i++) {
        if (i + 2 * AHEAD < count)
            SOON_WRITTEN(&starts[number[place_of(rows, i + 2 * AHEAD, (uint64_t)size)]]);
        if (i + AHEAD < count)
            SOON_WRITTEN(&out[starts[number[place_of(rows, i + AHEAD, (uint64_t)size)]]]);
        uint64_t place = place_of(rows, i, (uint64_t)size);
        out[starts[number[place]]++] = (int32_t)place;
    }
    return count;
}
