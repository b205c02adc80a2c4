/* Load a library of kernels for another machine and try one kernel beside a plain loop.
 *
 *     trial LIBRARY DIGEST        ends with 0 and "equal", or says what is wrong
 *
 * tests/test_wheels.py compiles it for Windows and for Linux on ARM and runs it under Wine and QEMU.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
static void *load(const char *path) { return (void *)LoadLibraryA(path); }
static void *find(void *library, const char *name) { return (void *)GetProcAddress((HMODULE)library, name); }
#else
#include <dlfcn.h>
static void *load(const char *path) { return dlopen(path, RTLD_NOW); }
static void *find(void *library, const char *name) { return dlsym(library, name); }
#endif

#define VALUES 1000
#define ROWS 5000

typedef struct {
    uint64_t low, high;
} block;
/* As hashing/native/tokens.c declares it: table, its width and rows, places, states, out, count. */
typedef void fetch_kernel(const block *, int64_t, int64_t, const int32_t *, const block *, block *, int64_t);
typedef const char *sources_kernel(void);

static uint64_t seed = 1;
static uint64_t any(void) /* Knuth's MMIX generator; its low bits repeat early */
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 16;
}

static block table[VALUES + 1], states[ROWS], made[ROWS];
static int32_t places[ROWS];

int main(int count, char **words)
{
    void *library = count == 3 ? load(words[1]) : NULL;
    if (!library)
        return puts("cannot load the library"), 2;
    sources_kernel *sources = (sources_kernel *)find(library, "tallystick_sources");
    fetch_kernel *fetch = (fetch_kernel *)find(library, "tallystick_fetch");
    if (!sources || !fetch)
        return puts("a kernel is missing"), 2;
    if (strcmp(sources(), words[2]) != 0)
        return puts("compiled from other sources"), 2;
    for (int i = 0; i <= VALUES; i++)
        table[i] = (block){any(), any()};
    for (int i = 0; i < ROWS; i++) {
        states[i] = (block){any(), any()};
        places[i] = (int32_t)(any() % (VALUES + 1)) - 1; /* -1: no value, for which the last row stands */
    }
    fetch(table, 1, VALUES + 1, places, states, made, ROWS);
    for (int i = 0; i < ROWS; i++) {
        const block *value = &table[places[i] < 0 ? VALUES : places[i]];
        if (made[i].low != (value->low ^ states[i].low) || made[i].high != (value->high ^ states[i].high))
            return printf("row %d differs\n", i), 1;
    }
    return puts("equal"), 0;
}
