/* Which sources the library was compiled from, so that a stale one is never used. */
#include "kernels.h"

#ifndef TALLYSTICK_SOURCES
#error "compile with -DTALLYSTICK_SOURCES=\"...\" (hashing/native/building.py)"
#endif

KERNEL const char *tallystick_sources(void) { return TALLYSTICK_SOURCES; }
