/* Keys of names: the rules of spelling and sound, the letters, the consonants. Names are A to Z.
 *
 * The rules are regular expressions in Python (_folding.py, _phonetic.py), which hashing/native/names.py takes apart
 * into paths: what may stand at each place around a match. A letter is one bit of a mask, the edge of a name another.
 */
#include <string.h>

#include "kernels.h"

#define EDGE 26
#define AROUND 8       /* places before and after the first letter of a match that a path can tell of */
#define MOST_LETTERS 96
#define ROOM (2 * MOST_LETTERS)

typedef struct {
    uint32_t masks[2 * AROUND]; /* of the places -AROUND to AROUND - 1 */
    int32_t from, to;           /* the places that matter, `to` not among them */
    int32_t taken, size;        /* letters that the match takes, and that are written instead */
    uint8_t written[8];
} path;

typedef struct {
    uint32_t starts;  /* letters with which a match can begin */
    uint32_t doubled; /* letters of which several become one; the rule has no paths then */
    int32_t first, count;
} rule;

static int fits(const path *one, const uint8_t *at)
{
    for (int32_t place = one->from; place < one->to; place++)
        if (!(one->masks[place + AROUND] >> at[place] & 1))
            return 0;
    return 1;
}

static const path *match(const rule *one, const path *paths, const uint8_t *at)
{
    for (int32_t i = one->first; i < one->first + one->count; i++)
        if (fits(&paths[i], at))
            return &paths[i];
    return NULL;
}

/* Where a rule first changes something; `size` where it changes nothing. */
static int64_t first_change(const rule *one, const path *paths, const uint8_t *letters, int64_t size)
{
    int64_t i = 0;
    for (; i < size; i++)
        if ((one->starts >> letters[i] & 1 && match(one, paths, letters + i)) ||
            (one->doubled >> letters[i] & 1 && letters[i - 1] == letters[i]))
            break;
    return i;
}

/* Write the letters that stand at `from` to `to`, from `begin` on with a rule applied; return how many there are, -1
 * where there are too many. */
static int64_t apply(const rule *one, const path *paths, const uint8_t *from, int64_t begin, int64_t size, uint8_t *to)
{
    int64_t written = begin;
    memcpy(to, from, (size_t)begin);
    for (int64_t i = begin; i < size;) {
        const path *found = one->starts >> from[i] & 1 ? match(one, paths, from + i) : NULL;
        if (written + (int64_t)sizeof found->written > ROOM)
            return -1;
        if (found) {
            memcpy(to + written, found->written, sizeof found->written);
            written += found->size;
            i += found->taken;
        } else if (one->doubled >> from[i] & 1 && from[i - 1] == from[i]) {
            i++;
        } else {
            to[written++] = from[i++];
        }
    }
    return written;
}

static uint32_t letters_of(const uint8_t *letters, int64_t size)
{
    uint32_t mask = 0;
    for (int64_t i = 0; i < size; i++)
        mask |= UINT32_C(1) << letters[i];
    return mask;
}

/* Rewrite one name; return how many letters it has then, -1 where it has too many on the way. */
static int64_t rewritten(const uint8_t *name, int64_t size, const rule *rules, int64_t count, const path *paths,
                         uint8_t *out, int64_t room)
{
    uint8_t cells[2][AROUND + ROOM + AROUND];
    uint8_t *now = cells[0], *next = cells[1];
    if (size > MOST_LETTERS)
        return -1;
    memset(cells, EDGE, sizeof cells);
    for (int64_t i = 0; i < size; i++)
        now[AROUND + i] = (uint8_t)(name[i] - 'A');
    uint32_t letters = letters_of(now + AROUND, size);
    for (int64_t i = 0; i < count; i++) {
        if (!(letters & (rules[i].starts | rules[i].doubled)))
            continue;
        int64_t begin = first_change(&rules[i], paths, now + AROUND, size);
        if (begin == size)
            continue;
        size = apply(&rules[i], paths, now + AROUND, begin, size, next + AROUND);
        if (size < 0)
            return -1;
        memset(next + AROUND + size, EDGE, AROUND);
        letters = letters_of(next + AROUND, size);
        uint8_t *before = now;
        now = next;
        next = before;
    }
    if (size > room)
        return -1;
    for (int64_t i = 0; i < size; i++)
        out[i] = (uint8_t)(now[AROUND + i] + 'A');
    return size;
}

/* Apply all rules, in order, to each name. `out` has room for all names and `more` letters a name; ends[i] is where
 * name i ends. Where by_rules[i] is set, nothing was written: the name is too long. */
KERNEL void tallystick_names_rewritten(const uint8_t *data, const int64_t *offsets, int64_t count, const rule *rules,
                                       int64_t rule_count, const path *paths, int64_t more, uint8_t *out, int64_t *ends,
                                       uint8_t *by_rules)
{
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t size = offsets[i + 1] - offsets[i];
        int64_t written = rewritten(data + offsets[i], size, rules, rule_count, paths, out + end, size + more);
        by_rules[i] = written < 0;
        end += written < 0 ? 0 : written;
        ends[i] = end;
    }
}

/* The distinct letters of each name in alphabetical order. */
KERNEL void tallystick_names_letters(const uint8_t *data, const int64_t *offsets, int64_t count, uint8_t *out,
                                     int64_t *ends)
{
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t letters = 0;
        for (int64_t k = offsets[i]; k < offsets[i + 1]; k++)
            letters |= UINT32_C(1) << (data[k] - 'A');
        for (unsigned letter = 0; letters; letter++, letters >>= 1)
            if (letters & 1)
                out[end++] = (uint8_t)('A' + letter);
        ends[i] = end;
    }
}

/* The first letter of each name, and those after it that are members of a class, a table of 256 flags. */
KERNEL void tallystick_names_consonants(const uint8_t *data, const int64_t *offsets, int64_t count,
                                        const uint8_t *members, uint8_t *out, int64_t *ends)
{
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = offsets[i]; k < offsets[i + 1]; k++)
            if (k == offsets[i] || members[data[k]])
                out[end++] = data[k];
        ends[i] = end;
    }
}
