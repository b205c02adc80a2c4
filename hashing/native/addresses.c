/* Addresses: words to their short forms and postcodes out, and house, number and street of what is left.
 *
 * What the words mean comes from Python (hashing/native/addresses.py), so that no list stands twice.
 */
#include <string.h>

#include "kernels.h"

#define MOST_BYTES 512
#define MOST_WORDS 128
#define LONGEST_LISTED 16

/* As in addresses.py. */
enum {
    FLAT = 1,
    FLOOR = 2,
    STREET = 4,
    BUILDING = 8,
    ORDINAL = 16,
    AFTER_ORDINAL = 32,
    COUNTRY = 64,
    FIRST_OF_COUNTRY = 128,
    SECOND_OF_COUNTRY = 256,
    CARE = 512,
    THE = 1024,
};
enum { BY_RULES = 1, DOUBTFUL = 2 };
#define FLAT_WITHIN 6

typedef struct {
    uint64_t low, high; /* the word, its first byte lowest; all zero: no entry */
    char shorter[LONGEST_LISTED];
    uint32_t size, roles;
} entry;

typedef struct {
    const entry *entries;
    int64_t mask; /* entries less one; they are a power of two */
} list;

typedef struct {
    const char *at;
    int64_t size;
    uint32_t roles;
} word;

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_letter(char c) { return c >= 'A' && c <= 'Z'; }

static const entry *look_up(list words, const char *at, int64_t size)
{
    if (size > LONGEST_LISTED)
        return NULL;
    char padded[LONGEST_LISTED] = {0};
    for (int64_t i = 0; i < size; i++)
        padded[i] = at[i];
    uint64_t low, high;
    memcpy(&low, padded, 8);
    memcpy(&high, padded + 8, 8);
    uint64_t slot = ((low ^ (high * UINT64_C(0xC2B2AE3D27D4EB4F))) * UINT64_C(0x9E3779B97F4A7C15)) >> 32;
    for (;; slot++) {
        const entry *found = &words.entries[slot & (uint64_t)words.mask];
        if (found->low == low && found->high == high)
            return found;
        if (!found->low)
            return NULL;
    }
}

/* AA9A of "AA9A 9AA". */
static int is_outward(const char *at, int64_t size)
{
    if (size < 2 || size > 4 || !is_letter(at[0]))
        return 0;
    int64_t digit = is_letter(at[1]) ? 2 : 1;
    return size > digit && size <= digit + 2 && is_digit(at[digit]);
}

static int is_inward(const char *at, int64_t size)
{
    return size == 3 && is_digit(at[0]) && is_letter(at[1]) && is_letter(at[2]);
}

/* How many words from this one on are a postcode: 0, 1 or 2. */
static int64_t postcode(const word *words, int64_t left)
{
    if (!is_letter(words[0].at[0]))
        return 0;
    if (left > 1 && !(words[1].roles & ORDINAL) && is_inward(words[1].at, words[1].size) &&
        is_outward(words[0].at, words[0].size))
        return 2;
    int64_t inward = words[0].size - 3;
    return inward >= 2 && is_inward(words[0].at + inward, 3) && is_outward(words[0].at, inward);
}

/* Write letters and digits to `clean`, words parted by one space or more; return how many bytes, -1 where too many. */
static int64_t cleaned(const uint8_t *text, int64_t size, char *clean, unsigned *seen)
{
    int64_t length = 0;
    if (size > MOST_BYTES)
        return -1;
    for (int64_t i = 0; i < size; i++) {
        char c = (char)text[i];
        if (is_letter(c) || is_digit(c)) {
            clean[length++] = c;
        } else if (c == '\'') {
            *seen |= DOUBTFUL; /* the words of "c/o" may hide behind it */
        } else if (c == '&') {
            if (length + 5 + (size - i) > MOST_BYTES)
                return -1;
            memcpy(clean + length, " AND ", 5);
            length += 5;
        } else {
            *seen |= c == '/' ? DOUBTFUL : 0;
            clean[length++] = ' ';
        }
    }
    return length;
}

static int64_t parted(const char *clean, int64_t length, word *words)
{
    int64_t count = 0, i = 0;
    for (;;) {
        while (i < length && clean[i] == ' ')
            i++;
        if (i == length)
            return count;
        if (count == MOST_WORDS)
            return -1;
        words[count].at = clean + i;
        while (i < length && clean[i] != ' ')
            i++;
        words[count].size = clean + i - words[count].at;
        words[count++].roles = 0;
    }
}

static int all_digits(word w)
{
    for (int64_t i = 0; i < w.size; i++)
        if (!is_digit(w.at[i]))
            return 0;
    return 1;
}

/* Ordinals keep out of postcodes; postcodes go. */
static int64_t without_postcodes(list listed, word *words, int64_t count)
{
    for (int64_t i = 0; i + 1 < count; i++) {
        if (!is_digit(words[i].at[0]) || words[i].size != 3)
            continue;
        const entry *ordinal = look_up(listed, words[i].at, words[i].size);
        const entry *next = look_up(listed, words[i + 1].at, words[i + 1].size);
        if (ordinal && next && (ordinal->roles & ORDINAL) && (next->roles & AFTER_ORDINAL))
            words[i].roles = ORDINAL;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < count;) {
        int64_t size = postcode(&words[i], count - i);
        if (!size)
            words[kept++] = words[i++];
        i += size;
    }
    return kept;
}

/* 12 A HIGH to 12A HIGH. The letter takes the place of the space behind the number. */
static int64_t joined(word *words, int64_t count)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        word w = words[i];
        if (i + 2 < count && words[i + 1].size == 1 && is_letter(words[i + 1].at[0]) && all_digits(w)) {
            char *end = (char *)w.at + w.size; /* all of it lies in the caller's `clean` */
            *end = words[++i].at[0];
            w.size++;
        }
        words[kept++] = w;
    }
    return kept;
}

static unsigned shortened(list listed, word *words, int64_t count)
{
    unsigned seen = 0;
    for (int64_t i = 0; i < count; i++) {
        const entry *found = look_up(listed, words[i].at, words[i].size);
        words[i].roles = 0;
        if (found) {
            words[i] = (word){found->shorter, found->size, found->roles};
            seen |= found->roles & CARE ? DOUBTFUL : 0;
        }
    }
    return seen;
}

/* The first word stays. */
static int64_t without_country(const word *words, int64_t count)
{
    for (;;) {
        if (count > 1 && (words[count - 1].roles & COUNTRY))
            count--;
        else if (count > 2 && (words[count - 1].roles & SECOND_OF_COUNTRY) &&
                 (words[count - 2].roles & FIRST_OF_COUNTRY) &&
                 (words[count - 1].roles >> 16) == (words[count - 2].roles >> 16))
            count -= 2;
        else
            return count;
    }
}

/* Write one address to `out`, `room` bytes at most; return how many there are, -1 where the general rules are needed. */
static int64_t spelled(list listed, const uint8_t *text, int64_t size, char *out, int64_t room, unsigned *seen)
{
    char clean[MOST_BYTES + 1];
    word words[MOST_WORDS];
    int64_t length = cleaned(text, size, clean, seen);
    int64_t count = length < 0 ? -1 : parted(clean, length, words);
    if (count < 0)
        return -1;
    count = joined(words, without_postcodes(listed, words, count));
    *seen |= shortened(listed, words, count);
    count = without_country(words, count);
    int64_t written = 0;
    unsigned digits = 0;
    for (int64_t i = 0; i < count; i++) {
        if (postcode(&words[i], count - i) || written + words[i].size + 1 > room)
            return -1; /* taking a postcode out joined its neighbours to another one */
        if (i)
            out[written++] = ' ';
        memcpy(out + written, words[i].at, (size_t)words[i].size);
        written += words[i].size;
        digits |= is_digit(words[i].at[0]);
    }
    *seen |= digits ? 0 : DOUBTFUL;
    return written;
}

/* Each text, of ASCII capitals, as a normalised address, one behind the other in `out`, which has room for all texts
 * and `more` bytes a text. Where flags[i] has BY_RULES nothing is written; where it has DOUBTFUL the address may be a
 * placeholder. */
KERNEL void tallystick_address_spelled(const uint8_t *data, const int64_t *offsets, int64_t count, const entry *entries,
                                       int64_t slots, int64_t more, char *out, int64_t *ends, uint8_t *flags)
{
    list listed = {entries, slots - 1};
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        unsigned seen = 0;
        int64_t size = offsets[i + 1] - offsets[i];
        int64_t written = spelled(listed, data + offsets[i], size, out + end, size + more, &seen);
        flags[i] = (uint8_t)(written < 0 ? BY_RULES | DOUBTFUL : seen);
        end += written < 0 ? 0 : written;
        ends[i] = end;
    }
}

/* Take the flat out of the words and write it; return how many words are left. */
static int64_t take_flat(word *words, int64_t count, char *out, int64_t *written)
{
    int64_t at = 0, first, most = count < FLAT_WITHIN ? count : FLAT_WITHIN;
    while (at < most && !(words[at].roles & FLAT))
        at++;
    if (at == most)
        return count;
    for (first = at; first && (words[first - 1].roles & FLOOR);)
        first--;
    int64_t begin = first, end = at, resume = at + 1;
    if (first == at) {
        begin = at + 1;
        end = resume = at + 2 < count ? at + 2 : count;
    }
    for (int64_t i = begin; i < end; i++) {
        memcpy(out + *written, words[i].at, (size_t)words[i].size);
        *written += words[i].size;
    }
    memmove(&words[first], &words[resume], (size_t)(count - resume) * sizeof *words);
    return first + count - resume;
}

/* Write the letters of the street's name; return how many. */
static int64_t street_of(const word *words, int64_t count, char *out)
{
    int64_t start = 0, end = 1, written = 0;
    while (end < count && !(words[end].roles & STREET))
        end++;
    if (end >= count)
        end = count < 1 ? count : 1;
    else
        for (int64_t i = 0; i + 1 < end; i++)
            start = words[i].roles & BUILDING ? i + 1 : start;
    for (int64_t i = start; i < end; i++)
        for (int64_t k = 0; k < words[i].size; k++)
            if (is_letter(words[i].at[k]))
                out[written++] = words[i].at[k];
    return written;
}

/* Write house, number and street of one address; return 0 where the general rules are needed. */
static int part(list listed, const char *text, int64_t size, char *const out[3], int64_t written[3])
{
    word words[MOST_WORDS];
    int64_t count = parted(text, size, words);
    if (count < 0)
        return 0;
    for (int64_t i = 0; i < count; i++) {
        const entry *found = look_up(listed, words[i].at, words[i].size);
        words[i].roles = found ? found->roles : 0;
    }
    count = take_flat(words, count, out[0], &written[0]);
    int64_t at = 0, name = 0, after;
    while (at < count && !is_digit(words[at].at[0]))
        at++;
    for (after = at < count ? at + 1 : 0; after < count && is_digit(words[after].at[0]);)
        after++;
    if (at < count) {
        name = at;
        memcpy(out[1], words[at].at, (size_t)words[at].size);
        written[1] = words[at].size;
    } else {
        while (name < count && (words[name].roles & THE))
            name++;
    }
    if (name < count) {
        if (written[0])
            out[0][written[0]++] = '-';
        memcpy(out[0] + written[0], words[name].at, (size_t)words[name].size);
        written[0] += words[name].size;
    }
    written[2] = street_of(words + after, count - after, out[2]);
    return 1;
}

/* Parts of normalised addresses: columns house, number and street, one behind the other in out[k], which has room for
 * all addresses; ends[k * count + i] is where one ends. Where by_rules[i] is set, nothing is written. */
KERNEL void tallystick_address_parts(const char *data, const int64_t *offsets, int64_t count, const entry *entries,
                                     int64_t slots, char *house, char *number, char *street, int64_t *ends,
                                     uint8_t *by_rules)
{
    list listed = {entries, slots - 1};
    char *out[3] = {house, number, street};
    for (int64_t i = 0; i < count; i++) {
        int64_t written[3] = {0, 0, 0};
        by_rules[i] = !part(listed, data + offsets[i], offsets[i + 1] - offsets[i], out, written);
        for (int k = 0; k < 3; k++) {
            out[k] += written[k];
            ends[k * count + i] = (i ? ends[k * count + i - 1] : 0) + written[k];
        }
    }
}
