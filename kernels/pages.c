/* The rows of a table from the pages of an SQLite file, in the order of their row ids.

   In: the bytes of the file, the table's root page, and of the columns of a record which are wanted. Out: the text of
   each wanted column one after the other and where each cell ends; numbers as doubles. See pages.py for the arguments
   and https://www.sqlite.org/fileformat2.html for the format.

   Only what is plain is read; anything else ends the walk, and SQLite itself has to be asked. No byte is trusted: each
   place is compared with the end of what it lies in, no deeper and no more pages are visited than a sound file has. */
#include "words.h"

enum { NOT_PLAIN = -1, DEEPEST = 20 /* as SQLite itself */ };
enum { INTERIOR_PAGE = 5, LEAF_PAGE = 13 };
enum { UNWANTED, TEXT, NUMBER }; /* as in pages.py */
enum { NULL_CELL, LONG_INTEGER = 6, REAL_CELL, ZERO, ONE, RESERVED, FIRST_BLOB = 12 };

/* A column of the record. `size` is how many bytes of text there are so far, `room` how many there may be; without
   arrays rows are only counted. */
typedef struct {
    int64_t kind, size, room;
    uint8_t *text;
    int32_t *ends;
    double *numbers;
} column_t;

typedef struct {
    const uint8_t *bytes;
    int64_t page_size, usable, pages, visited, rows, room, count;
    column_t *columns;
} table_t;

INLINE int64_t two_bytes(const uint8_t *place)
{
    return (int64_t)place[0] << 8 | place[1];
}

INLINE int64_t four_bytes(const uint8_t *place)
{
    return two_bytes(place) << 16 | two_bytes(place + 2);
}

/* Reads the number at `at`, a byte for each seven bits; returns where the next one begins, NOT_PLAIN if it does not end
   before `stop` or takes more than eight bytes, which no length and no kind of cell does. */
INLINE int64_t behind_number(const uint8_t *bytes, int64_t at, int64_t stop, int64_t *number)
{
    int64_t found = 0;
    for (const int64_t last = at + 8 < stop ? at + 8 : stop; at < last; at++) {
        found = found << 7 | (bytes[at] & 0x7f);
        if (bytes[at] < 0x80) {
            *number = found;
            return at + 1;
        }
    }
    return NOT_PLAIN;
}

/* Where what follows a row id begins; row ids below zero take nine bytes, and the value does not matter. */
INLINE int64_t behind_row_id(const uint8_t *bytes, int64_t at, int64_t stop)
{
    const int64_t last = at + 9 < stop ? at + 9 : stop;
    for (int64_t i = at; i < last; i++)
        if (bytes[i] < 0x80 || i == at + 8)
            return i + 1;
    return NOT_PLAIN;
}

/* How many bytes a cell has whose kind is not reserved. */
INLINE int64_t cell_size(int64_t kind)
{
    static const uint8_t sizes[FIRST_BLOB] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    return kind < FIRST_BLOB ? sizes[kind] : (kind - FIRST_BLOB) / 2;
}

/* Takes an integer or a real number; whether it is a finite one that a double holds exactly. */
INLINE int take_number(column_t *column, int64_t row, int64_t kind, const uint8_t *cell)
{
    double value = kind == ONE;
    if (kind == NULL_CELL || kind > ONE)
        return 0;
    if (kind == REAL_CELL) {
        uint64_t bits = (uint64_t)four_bytes(cell) << 32 | (uint64_t)four_bytes(cell + 4);
        memcpy(&value, &bits, sizeof value);
        if ((bits >> 52 & 0x7ff) == 0x7ff) /* not a number is NULL for SQLite */
            return 0;
    } else if (kind <= LONG_INTEGER) {
        uint64_t bits = cell[0] & 0x80 ? ~UINT64_C(0) : 0;
        for (int64_t i = 0; i < cell_size(kind); i++)
            bits = bits << 8 | cell[i];
        const int64_t integer = (int64_t)bits, most = INT64_C(1) << 53;
        if (integer > most || integer < -most)
            return 0;
        value = (double)integer;
    }
    if (column->numbers)
        column->numbers[row] = value;
    return 1;
}

/* Takes a text; whether it is one and fits. */
INLINE int take_text(column_t *column, int64_t row, int64_t kind, const uint8_t *cell)
{
    const int64_t size = cell_size(kind), before = column->size;
    if (kind <= FIRST_BLOB || kind % 2 == 0 || size > column->room - before)
        return 0;
    column->size = before + size;
    if (column->text) {
        memcpy(column->text + before, cell, (size_t)size);
        column->ends[row] = (int32_t)column->size;
    }
    return 1;
}

/* Takes the record bytes[at:stop]; whether all wanted cells are there and plain. */
INLINE int take_record(table_t *t, int64_t at, int64_t stop)
{
    int64_t header, kind;
    const int64_t begin = at;
    at = behind_number(t->bytes, at, stop, &header);
    if (at < 0 || header < at - begin || header > stop - begin || t->rows >= t->room)
        return 0;
    int64_t cell = begin + header;
    for (int64_t i = 0; i < t->count; i++) {
        column_t *column = t->columns + i;
        at = behind_number(t->bytes, at, begin + header, &kind);
        if (at < 0 || (kind >= RESERVED && kind < FIRST_BLOB) || cell_size(kind) > stop - cell)
            return 0;
        if (column->kind == TEXT && !take_text(column, t->rows, kind, t->bytes + cell))
            return 0;
        if (column->kind == NUMBER && !take_number(column, t->rows, kind, t->bytes + cell))
            return 0;
        cell += cell_size(kind);
    }
    t->rows++;
    return at < begin + header || cell == stop; /* as SQLite has it: the last cell ends the record */
}

/* Takes the row at `at` on a leaf that ends at `stop`; whether it is plain, with no bytes on pages of their own. */
INLINE int take_row(table_t *t, int64_t at, int64_t stop)
{
    int64_t size;
    at = behind_number(t->bytes, at, stop, &size);
    if (at >= 0)
        at = behind_row_id(t->bytes, at, stop);
    return at >= 0 && size <= t->usable - 35 && size <= stop - at && take_record(t, at, at + size);
}

/* Takes the rows of a page and of all below it; whether all are plain. The first page is never a table's of ours. */
static int take_page(table_t *t, int64_t page, int depth)
{
    if (page < 2 || page > t->pages || depth > DEEPEST || ++t->visited > t->pages)
        return 0;
    const uint8_t *bytes = t->bytes;
    const int64_t begin = (page - 1) * t->page_size, stop = begin + t->usable, kind = bytes[begin];
    const int64_t cells = two_bytes(bytes + begin + 3), first = begin + (kind == INTERIOR_PAGE ? 12 : 8);
    if ((kind != INTERIOR_PAGE && kind != LEAF_PAGE) || first + 2 * cells > stop)
        return 0;
    if (!cells && depth > 1) /* only a root is ever empty */
        return 0;
    for (int64_t i = 0; i < cells; i++) {
        const int64_t at = begin + two_bytes(bytes + first + 2 * i);
        if (at < first + 2 * cells || at > stop - 4) /* the shortest cell has four bytes */
            return 0;
        if (!(kind == LEAF_PAGE ? take_row(t, at, stop) : take_page(t, four_bytes(bytes + at), depth + 1)))
            return 0;
    }
    return kind == LEAF_PAGE || take_page(t, four_bytes(bytes + begin + 8), depth + 1);
}

/* Counts the rows, or takes them where `texts`, `ends` and `numbers` hold the columns' arrays; how many there are, or
   NOT_PLAIN. sizes: how many bytes of text the arrays, or the file, have room for; becomes how many there are. */
int64_t read_pages(const uint8_t *bytes, int64_t size, int64_t page_size, int64_t usable, int64_t root, int64_t count,
                   const int64_t *kinds, int64_t room, const uint64_t *texts, const uint64_t *ends,
                   const uint64_t *numbers, int64_t *sizes)
{
    column_t columns[count];
    for (int64_t i = 0; i < count; i++)
        columns[i] = (column_t){kinds[i],
                                0,
                                sizes[i],
                                (uint8_t *)(uintptr_t)texts[i],
                                (int32_t *)(uintptr_t)ends[i],
                                (double *)(uintptr_t)numbers[i]};
    table_t table = {bytes, page_size, usable, size / page_size, 0, 0, room, count, columns};
    const int plain = take_page(&table, root, 1);
    for (int64_t i = 0; i < count; i++)
        sizes[i] = columns[i].size;
    return plain ? table.rows : NOT_PLAIN;
}
