/* How many |z| reach each of a few levels, and where and what those are that reach one of them; see tails.py.

   Bytes moved: each z once. A column, which fits the cache, is compared with four levels at a time in vector registers.
   Only if something in it reaches the level from which on places are wanted is it gone through again, and only a strip
   that has such a value is looked through one by one: no branch depends on a single value. */
#include "cpu.h"

enum {
    AT_ONCE = 4,  /* levels compared in one go; they and their counts fit the vector registers */
    RUN = 1024,   /* values counted in one go, while those further on are fetched */
    LINE = 64,    /* bytes that are fetched at a time */
    AHEAD = 8192, /* how many bytes further on: the processor by itself looks ahead no further than a page of 4096 */
    STRIP = 32,   /* values looked through if one of them reaches the level */
};

/* z of float or double: columns of `rows` values, each contiguous, one every `step` bytes, perhaps at odd addresses. */
typedef struct {
    const char *z;
    int64_t rows, columns, step;
} matrix_t;

/* Asks for the values that will be counted AHEAD of here. Past the end of the matrix this asks in vain, for it is a
   hint that reads nothing. */
INLINE void fetch_ahead(const void *values, int64_t bytes)
{
    const uintptr_t from = (uintptr_t)values + AHEAD;
    for (int64_t at = 0; at < bytes; at += LINE)
        __builtin_prefetch((const void *)(from + (uintptr_t)at));
}

/* Defines for z of type REAL, counted in integers WHOLE:

   COUNT_RUN      Adds to `reached` how many of some values reach each of four levels; returns how many are NaN.
   LOOK_THROUGH   Appends those of some values that reach `level` to the places found; returns how many there are now.
                  Each value is written behind the last place and stays there if it reaches the level.
   COLLECT        The same for a whole column.
   COUNT_TAILS    Counts column after column from `begin` on, as long as the places of one more column find room.
                  `counts` (columns, levels + 1), zeros at first, takes the values per level and those that are NaN.
                  Returns the first column that is left.
   GATHER         z of places. Returns how many were read: fewer than asked for if the next is outside the matrix. */
#define DEFINE(REAL, WHOLE, COUNT_RUN, LOOK_THROUGH, COLLECT, COUNT_TAILS, GATHER)                                     \
    typedef REAL __attribute__((aligned(1), may_alias)) any_##REAL;                                                    \
                                                                                                                       \
    INLINE int64_t COUNT_RUN(const any_##REAL *values, WHOLE count, const REAL *levels, int64_t *reached)              \
    {                                                                                                                  \
        const REAL first = levels[0], second = levels[1], third = levels[2], fourth = levels[3];                       \
        WHOLE a = 0, b = 0, c = 0, d = 0, missing = 0;                                                                 \
        for (WHOLE i = 0; i < count; i++) {                                                                            \
            const REAL size = (REAL)fabs(values[i]);                                                  \
            a += size >= first;                                                                                        \
            b += size >= second;                                                                                       \
            c += size >= third;                                                                                        \
            d += size >= fourth;                                                                                       \
            missing += size != size; /* true for NaN alone */                                                          \
        }                                                                                                              \
        reached[0] += a;                                                                                               \
        reached[1] += b;                                                                                               \
        reached[2] += c;                                                                                               \
        reached[3] += d;                                                                                               \
        return missing;                                                                                                \
    }                                                                                                                  \
                                                                                                                       \
    INLINE int64_t LOOK_THROUGH(const any_##REAL *values, int64_t first, int64_t count, REAL level, int32_t *row,      \
                                REAL *value, int64_t found)                                                            \
    {                                                                                                                  \
        for (int64_t i = first; i < first + count; i++) {                                                              \
            row[found] = (int32_t)i;                                                                                   \
            value[found] = values[i];                                                                                  \
            found += (REAL)fabs(values[i]) >= level;                                                                   \
        }                                                                                                              \
        return found;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    INLINE int64_t COLLECT(const any_##REAL *values, int64_t rows, REAL level, int32_t *row, REAL *value,              \
                           int64_t found)                                                                              \
    {                                                                                                                  \
        int64_t start = 0;                                                                                             \
        for (; start + STRIP <= rows; start += STRIP) {                                                                \
            WHOLE here = 0;                                                                                            \
            for (int i = 0; i < STRIP; i++)                                                                            \
                here += (REAL)fabs(values[start + i]) >= level;                    \
            if (here)                                                                                                  \
                found = LOOK_THROUGH(values, start, STRIP, level, row, value, found);                                  \
        }                                                                                                              \
        return LOOK_THROUGH(values, start, rows - start, level, row, value, found);                                    \
    }                                                                                                                  \
                                                                                                                       \
    FOR_EVERY_PROCESSOR int64_t COUNT_TAILS(const matrix_t *m, int64_t n_columns, const int64_t *columns,              \
                                            int64_t begin, int64_t n_levels, const REAL *levels,                       \
                                            const int64_t *wanted, int64_t *counts, int64_t room, int32_t *row,        \
                                            int32_t *column, REAL *value, int64_t *n_found)                            \
    {                                                                                                                  \
        int64_t number = begin, found = 0;                                                                             \
        for (; number < n_columns && found + m->rows <= room; number++) {                                              \
            const any_##REAL *values = (const any_##REAL *)(m->z + columns[number] * m->step);                         \
            int64_t *reached = counts + number * (n_levels + 1), before = found;                                       \
            for (int64_t group = 0; group < n_levels; group += AT_ONCE) {                                              \
                int64_t missing = 0;                                                                                   \
                for (int64_t first = 0; first < m->rows; first += RUN) {                                               \
                    const int64_t count = m->rows - first < RUN ? m->rows - first : RUN;                               \
                    if (!group)                                                                                        \
                        fetch_ahead(values + first, count * (int64_t)sizeof(REAL));                                    \
                    missing += COUNT_RUN(values + first, (WHOLE)count, levels + group, reached + group);               \
                }                                                                                                      \
                reached[n_levels] = missing;                                                                           \
            }                                                                                                          \
            if (wanted[number] < n_levels && reached[wanted[number]])                                                  \
                found = COLLECT(values, m->rows, levels[wanted[number]], row, value, found);                           \
            for (; before < found; before++)                                                                           \
                column[before] = (int32_t)number;                                                                      \
        }                                                                                                              \
        *n_found = found;                                                                                              \
        return number;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    int64_t GATHER(const matrix_t *m, int64_t count, const int64_t *row, const int64_t *column, REAL *out)             \
    {                                                                                                                  \
        for (int64_t place = 0; place < count; place++) {                                                              \
            if (row[place] < 0 || row[place] >= m->rows || column[place] < 0 || column[place] >= m->columns)           \
                return place;                                                                                          \
            out[place] = ((const any_##REAL *)(m->z + column[place] * m->step))[row[place]];                           \
        }                                                                                                              \
        return count;                                                                                                  \
    }

DEFINE(float, int32_t, count_run_float, look_through_float, collect_float, count_tails_float, gather_float)
DEFINE(double, int64_t, count_run_double, look_through_double, collect_double, count_tails_double, gather_double)
