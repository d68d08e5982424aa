/* The byte loop behind the fast way of reading a table of text: lines, cells, wanted rows and fingerprint in one pass.

   In: a block of whole lines, where its columns are, and either a table of wanted identifiers or the numbers of the
   wanted lines. Out: where the cells of wanted rows begin and end and the numbers in them, counts, and a running
   fingerprint of the columns that identify a row. See scan.py for the arguments.

   A window of a few kilobytes is gone through three times while it is in the first-level cache: for the places of
   separators, line by line, and for the rows that may be wanted, which are looked up together. Nothing is read
   outside the block, whatever is in it: places come from the masks, and eight bytes are read at a time only where
   the block has so many. */
#include "masks.h"
#include "numbers.h"
#include "texts.h"

enum {
    CHECKED_LINES = 65536, /* between two checkpoints of the fingerprint; a power of two */
    WAITING = 256,         /* rows that are looked up together */
    UNPACKED = 12,         /* places written at a time: most often 64 bytes have fewer cells */
};

static const uint64_t blank_line = UINT64_C(0xA0761D6478BD642F), malformed_line = UINT64_C(0xE7037ED1A0B428DB);

/* How a block is cut and what is wanted of it; as in scan.py. */
typedef struct {
    int64_t separator, blanks, width, identifier, chromosome, picking;
    int64_t takes, spans, present, slots, picks, most_names, ids, room;
} sizes_t;

/* Of the file so far: lines, used picks, names of chromosomes. Of the block: well-formed rows, rows with another
   number of cells, wanted rows, checkpoints passed. */
typedef struct {
    int64_t lines, picked, names, rows, malformed, kept, checks;
} state_t;

/* The running fingerprint. */
typedef struct {
    uint64_t one, two;
} mark_t;

/* A row: where it begins, which of the places is the end of its first cell, its line, the hash of its identifier. */
typedef struct {
    int64_t begin, first, line;
    uint64_t hash;
} row_t;

typedef struct {
    text_t text;
    const sizes_t *n;
    const int64_t *take, *spans;
    table_t table;
    const int32_t *picks;
    state_t state;
    mark_t mark;
    uint64_t newest;      /* chromosome of the row before */
    uint64_t *names, *checks;
    int32_t *ids, *lines, *cells;
    double *numbers;
    int32_t *places;      /* ends of the cells of the window */
    int64_t held;         /* of them those of a line that began in the window before */
    int64_t begin;        /* of the line at hand */
    uint64_t before, cut; /* whether the byte before the window ends a cell, and whether it is a separator */
    int64_t returns, stripped, waiting; /* carriage returns; those at the end of a line; rows to be looked up */
    row_t rows[WAITING];
    int32_t line_ends[MASK_BYTES]; /* of each line in the window: how many places there are up to its end */
    masks_t masks;
} scan_t;

INLINE int64_t begin_of(const scan_t *s, const row_t *row, int64_t column)
{
    return column == 0 ? row->begin : (int64_t)s->places[row->first + column - 1] + 1;
}

INLINE int64_t end_of(const scan_t *s, const row_t *row, int64_t column)
{
    return s->places[row->first + column];
}

/* Every step can be undone, so what two rows differ in stays. */
INLINE void mix(mark_t *mark, uint64_t one, uint64_t two)
{
    mark->one = (mark->one ^ one) * k1;
    mark->two = (mark->two + two) * k2;
    mark->one ^= mark->two >> 32;
    mark->two ^= mark->one >> 29;
}

/* Takes the columns that identify a row into the fingerprint. A row is hashed by itself first, so that the processor
   need not wait for the row before; the last 16 bytes of a run of columns may be taken in twice. */
INLINE void mix_row(scan_t *s, const row_t *row)
{
    mark_t own = {0, 0};
    for (int64_t i = 0; i < s->n->spans; i++) {
        const int64_t begin = begin_of(s, row, s->spans[2 * i]), stop = end_of(s, row, s->spans[2 * i + 1]);
        const uint8_t *bytes = s->text.bytes;
        mix(&own, (uint64_t)(stop - begin), k2);
        if (stop - begin < 16) {
            const int64_t middle = begin + 8 < stop ? begin + 8 : stop;
            mix(&own, first_word(&s->text, begin, middle), first_word(&s->text, middle, stop));
            continue;
        }
        for (int64_t place = begin; place + 16 <= stop; place += 16)
            mix(&own, word_at(bytes + place), word_at(bytes + place + 8));
        mix(&own, word_at(bytes + stop - 16), word_at(bytes + stop - 8));
    }
    mix(&s->mark, own.one, own.two);
}

/* Remembers the chromosome of a row; false where its name is long or there is no room for it. */
INLINE int note_chromosome(scan_t *s, const row_t *row)
{
    const int64_t place = begin_of(s, row, s->n->chromosome), stop = end_of(s, row, s->n->chromosome);
    const uint64_t name = first_word(&s->text, place, stop);
    int64_t at = 0;
    if (stop - place > 8)
        return 0;
    if (name == s->newest)
        return 1;
    s->newest = name;
    while (at < s->state.names && s->names[at] != name)
        at++;
    if (at == s->state.names && at < s->n->most_names)
        s->names[s->state.names++] = name;
    return at < s->n->most_names;
}

/* Writes down where the cells of a wanted row are, and the numbers in them. */
INLINE void record(scan_t *s, const row_t *row)
{
    const int64_t kept = s->state.kept++;
    s->lines[kept] = (int32_t)row->line;
    for (int64_t i = 0; i < s->n->takes; i++) {
        const int64_t place = begin_of(s, row, s->take[2 * i]), stop = end_of(s, row, s->take[2 * i]);
        int32_t *cell = s->cells + 2 * (kept * s->n->takes + i);
        cell[0] = (int32_t)place, cell[1] = (int32_t)stop;
        if (s->take[2 * i + 1])
            s->numbers[i * s->n->room + kept] = number_at(&s->text, place, stop);
    }
}

/* Records those of the waiting rows that are wanted. Looked up together, the processor waits for many places of the
   table at a time: the bit set, which mostly is in its cache, answers most no, the first slot most of the rest. */
static void settle(scan_t *s)
{
    int32_t maybe[WAITING];
    int64_t found = 0, likely = 0;
    const table_t *table = &s->table;
    for (int64_t i = 0; i < s->waiting; i++) {
        const uint64_t bit = bit_of(table, s->rows[i].hash);
        maybe[found] = (int32_t)i;
        found += table->present[bit / 64] >> bit % 64 & 1;
    }
    for (int64_t i = 0; i < found; i++) {
        const int32_t row = maybe[i];
        maybe[likely] = row;
        likely += table->slots[s->rows[row].hash & table->last_slot] != 0;
    }
    for (int64_t i = 0; i < likely; i++) {
        const row_t *row = &s->rows[maybe[i]];
        const int64_t place = begin_of(s, row, s->n->identifier), stop = end_of(s, row, s->n->identifier);
        if (table->slots[slot_of(table, s->text.bytes + place, stop - place, row->hash)])
            record(s, row);
    }
    s->waiting = 0;
}

/* A line with as many cells as the header; false if the block is not of the plain kind. */
INLINE int take_row(scan_t *s, int64_t first)
{
    row_t row = {s->begin, first, s->state.lines, 0};
    mix_row(s, &row);
    if (s->n->picking) {
        if (s->state.picked < s->n->picks && s->picks[s->state.picked] == row.line) {
            record(s, &row);
            s->state.picked++;
        }
    } else {
        const int64_t place = begin_of(s, &row, s->n->identifier), stop = end_of(s, &row, s->n->identifier);
        if (s->n->ids) {
            s->ids[2 * s->state.rows] = (int32_t)place;
            s->ids[2 * s->state.rows + 1] = (int32_t)stop;
        }
        if (s->n->chromosome >= 0 && !note_chromosome(s, &row))
            return 0;
        row.hash = hash_text(&s->text, place, stop);
        s->rows[s->waiting++] = row;
        if (s->waiting == WAITING)
            settle(s);
    }
    s->state.rows++;
    return 1;
}

/* The line whose cells end at places[first] to places[last]; false if the block is not of the plain kind. */
INLINE int take_line(scan_t *s, int64_t first, int64_t last)
{
    const int64_t following = (int64_t)s->places[last] + 1, found = last - first + 1;
    int64_t stop = following - 1;
    if (s->returns && stop > s->begin && s->text.bytes[stop - 1] == '\r') {
        s->places[last] = (int32_t)--stop;
        s->stripped++;
        if (s->n->blanks && stop > s->begin && s->text.bytes[stop - 1] == s->n->separator)
            return 0; /* a blank at the end of the line, once the carriage return is gone */
    }
    if (found == s->n->width) {
        if (!take_row(s, first))
            return 0;
    } else {
        const int blank = found == 1 && stop == s->begin;
        s->state.malformed += !blank;
        mix(&s->mark, blank ? blank_line : malformed_line, k1);
    }
    s->begin = following;
    if (++s->state.lines % CHECKED_LINES == 0) {
        uint64_t *check = s->checks + 2 * s->state.checks++;
        check[0] = s->mark.one, check[1] = s->mark.two;
    }
    return 1;
}

/* Makes the masks of the window that begins at `base`; returns how many words of 64 bytes it has. What is behind the
   block counts as zeros. */
static int64_t look(scan_t *s, find_masks_t *find, int64_t base)
{
    const int64_t rest = s->text.size - base, whole = rest < MASK_BYTES ? rest / 64 : MASK_WORDS;
    find(s->text.bytes + base, whole, (uint8_t)s->n->separator, &s->masks);
    if (whole == MASK_WORDS || rest % 64 == 0)
        return whole;
    uint8_t tail[64] = {0};
    memcpy(tail, s->text.bytes + base + 64 * whole, rest % 64);
    masks_t last;
    find(tail, 1, (uint8_t)s->n->separator, &last);
    s->masks.newline[whole] = last.newline[0], s->masks.cut[whole] = last.cut[0];
    s->masks.back[whole] = last.back[0];
    s->masks.small[whole] = last.small[0] & ((UINT64_C(1) << rest % 64) - 1);
    return whole + 1;
}

/* Whether blanks are single ones, between cells, and all of one kind. */
static int plain_blanks(scan_t *s, int64_t words)
{
    uint64_t odd = 0, before = s->before, separated = s->cut;
    for (int64_t i = 0; i < words; i++) {
        const uint64_t newline = s->masks.newline[i], cut = s->masks.cut[i], mask = newline | cut;
        odd |= s->masks.small[i] & ~(mask | s->masks.back[i]);
        odd |= (cut & (mask << 1 | before)) | (newline & (cut << 1 | separated));
        before = mask >> 63, separated = cut >> 63;
    }
    s->before = before, s->cut = separated;
    return odd == 0;
}

/* Writes down where the bits of a mask are, the first bit being at `base`: a few more than there are, so that the loop
   mostly ends after as many turns. */
INLINE void unpack(uint64_t mask, int64_t base, int32_t *places)
{
    do {
        for (int i = 0; i < UNPACKED; i++, mask &= mask - 1)
            *places++ = (int32_t)(base + lowest_bit(mask | UINT64_C(1) << 63));
    } while (mask);
}

/* Masks to places; returns how many lines end in the window. */
FOR_EVERY_PROCESSOR static int64_t find_places(scan_t *s, int64_t base, int64_t words)
{
    int64_t count = s->held, lines = 0;
    for (int64_t i = 0; i < words; i++) {
        const uint64_t mask = s->masks.newline[i] | s->masks.cut[i];
        unpack(mask, base + 64 * i, s->places + count);
        for (uint64_t newline = s->masks.newline[i]; newline; newline &= newline - 1)
            s->line_ends[lines++] = (int32_t)(count + __builtin_popcountll(mask & (newline ^ (newline - 1))));
        count += __builtin_popcountll(mask);
        s->returns += __builtin_popcountll(s->masks.back[i]);
    }
    s->held = count;
    return lines;
}

/* Goes through one window; false if the block is not of the plain kind. */
static int scan_window(scan_t *s, find_masks_t *find, int64_t base)
{
    const int64_t words = look(s, find, base);
    if (s->n->blanks && !plain_blanks(s, words))
        return 0;
    const int64_t lines = find_places(s, base, words);
    int64_t first = 0;
    for (int64_t line = 0; line < lines; line++) {
        if (!take_line(s, first, s->line_ends[line] - 1))
            return 0;
        first = s->line_ends[line];
    }
    settle(s);
    s->held -= first;
    if (s->held > s->n->width + 1) /* too many cells stay too many */
        s->held = s->n->width + 1;
    memmove(s->places, s->places + first, s->held * sizeof *s->places);
    return 1;
}

/* Goes through the lines of a block; false if it is not of the plain kind: then state and mark are as they were, and
   what else was written means nothing. */
int64_t scan_lines(const sizes_t *n, const uint8_t *bytes, int64_t size, const int64_t *take, const int64_t *spans,
                   const uint64_t *present, const uint64_t *slots, const uint8_t *id_bytes, const int64_t *id_ends,
                   const int32_t *picks, state_t *state, mark_t *mark, uint64_t *names, int32_t *places,
                   int32_t *ids, int32_t *lines, int32_t *cells, double *numbers, uint64_t *checks)
{
    scan_t s;
    memset(&s, 0, offsetof(scan_t, rows));
    s.text = (text_t){bytes, size};
    s.n = n, s.take = take, s.spans = spans, s.picks = picks, s.names = names, s.checks = checks;
    s.table = (table_t){present, slots, id_bytes, id_ends, 64 * (uint64_t)n->present - 1, (uint64_t)n->slots - 1};
    s.ids = ids, s.lines = lines, s.cells = cells, s.numbers = numbers, s.places = places;
    s.state = (state_t){.lines = state->lines, .picked = state->picked, .names = state->names};
    s.mark = *mark, s.newest = ~UINT64_C(0), s.before = 1; /* what precedes ends a line */
    find_masks_t *find = best_masks();
    for (int64_t base = 0; base < size; base += MASK_BYTES)
        if (!scan_window(&s, find, base))
            return 0;
    if (s.returns != s.stripped) /* a carriage return that ends no line */
        return 0;
    *mark = s.mark, *state = s.state;
    return 1;
}

/* Copies the cells of one of `columns` one after the other; offsets: where each begins in `out`, and the end. Whether
   all bytes are ASCII. */
int64_t copy_cells(const uint8_t *bytes, int64_t size, int64_t count, int64_t columns, int64_t column,
                   const int32_t *cells, int32_t *offsets, int64_t room, uint8_t *out)
{
    const text_t text = {bytes, size};
    uint64_t seen = 0;
    int64_t to = 0;
    for (int64_t i = 0; i < count; i++) {
        const int32_t *cell = cells + 2 * (i * columns + column);
        const int64_t stop = cell[1];
        int64_t place = cell[0];
        offsets[i] = (int32_t)to;
        for (; place < stop && to + 8 <= room; place += 8) { /* what is too much is written over */
            const uint64_t word = first_word(&text, place, stop);
            seen |= word;
            put_word(out + to, word);
            to += stop - place < 8 ? stop - place : 8;
        }
        for (; place < stop; place++) {
            seen |= bytes[place];
            out[to++] = bytes[place];
        }
    }
    offsets[count] = (int32_t)to;
    return (seen & EVERY_BYTE(0x80)) == 0;
}

/* The numbers in cells, NaN where `number_at` does not tell. */
void read_numbers(const uint8_t *bytes, int64_t size, int64_t count, const int32_t *cells, double *out)
{
    const text_t text = {bytes, size};
    for (int64_t i = 0; i < count; i++)
        out[i] = number_at(&text, cells[2 * i], cells[2 * i + 1]);
}
