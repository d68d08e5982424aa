/* The byte loop over a covariance file that lists upper triangles.

   In: whole lines GENE RSID1 RSID2 VALUE as bytes. Out: the text of the genes, that of each gene's SNPs in the order
   of its matrix, and the values. See triangles.py for the arguments.

   In an upper triangle the first row of the matrix names all SNPs of a gene, so what every further row says but for
   its value is known beforehand: it is compared, not read. A line that is not as expected ends the loop. A line that
   was taken has eight bytes or more, none of its cells being empty: that is how long the arrays must be. */
#include "numbers.h"

/* So far: rows, genes, SNPs; of the gene at hand its first SNP, the row of its matrix (-1 when all rows are there) and
   how many of its cells were read; of the block, cells that are odd. */
typedef struct {
    int64_t rows, genes, snps, first, run, place, odd;
} state_t;

typedef struct {
    uint8_t *text;
    int64_t *ends; /* name i is text[ends[i]:ends[i + 1]] */
} names_t;

typedef struct {
    text_t text;
    uint8_t separator;
    state_t at;
    names_t genes, snps;
    int64_t *gene_first, *odd;
    double *values;
} reader_t;

/* Where the next cell begins if the one at `at` is a certain name, else -1. */
INLINE int64_t behind_known(const reader_t *r, int64_t at, const names_t *names, int64_t which)
{
    const int64_t begin = names->ends[which], length = names->ends[which + 1] - begin, end = at + length;
    const int same = end < r->text.size && r->text.bytes[end] == r->separator
                     && equal_bytes(r->text.bytes + at, names->text + begin, length);
    return same ? end + 1 : -1;
}

/* Appends the cell at `at` to names; returns where the next one begins, -1 if there is none or this one is empty. */
INLINE int64_t behind_new(const reader_t *r, int64_t at, names_t *names, int64_t count)
{
    const uint8_t *bytes = r->text.bytes;
    int64_t to = names->ends[count];
    for (; at < r->text.size && bytes[at] != r->separator; at++) {
        if (bytes[at] == '\n')
            return -1;
        names->text[to++] = bytes[at];
    }
    if (at >= r->text.size || to == names->ends[count])
        return -1;
    names->ends[count + 1] = to;
    return at + 1;
}

INLINE int64_t line_end(const text_t *text, int64_t at)
{
    for (; at + 8 <= text->size; at += 8) {
        const uint64_t word = word_at(text->bytes + at) ^ EVERY_BYTE('\n');
        const uint64_t found = (word - EVERY_BYTE(1)) & ~word & EVERY_BYTE(0x80); /* the lowest is right */
        if (found)
            return at + (lowest_bit(found) >> 3);
    }
    while (at < text->size && text->bytes[at] != '\n')
        at++;
    return at;
}

/* Reads the last cell of a line; returns where the line ends, -1 if the cell is empty. */
INLINE int64_t take_value(reader_t *r, int64_t at)
{
    const int64_t stop = line_end(&r->text, at), row = r->at.rows;
    if (stop == at)
        return -1;
    const double value = number_at(&r->text, at, stop);
    if (value != value) {
        int64_t *odd = r->odd + 3 * r->at.odd++;
        odd[0] = row, odd[1] = at, odd[2] = stop;
    }
    r->values[row] = value;
    r->at.rows++;
    r->at.place++;
    return stop;
}

/* Where RSID1 begins, behind the gene at hand or a new one, whose first SNP it is; -1 if neither may come. */
INLINE int64_t take_gene(reader_t *r, int64_t at)
{
    state_t *s = &r->at;
    int64_t next = s->genes ? behind_known(r, at, &r->genes, s->genes - 1) : -1;
    if (next >= 0)
        return s->run < 0 ? -1 : next;
    if (!(s->run < 0 || (s->run == 0 && s->place == 1))) /* rows of the gene before are missing */
        return -1;
    next = behind_new(r, at, &r->genes, s->genes);
    if (next < 0 || behind_new(r, next, &r->snps, s->snps) < 0)
        return -1;
    r->gene_first[s->genes++] = s->first = s->snps++;
    s->run = s->place = 0;
    return next;
}

/* Where RSID2 begins, behind the SNP that the row of the matrix is of; -1 if it is another one. */
INLINE int64_t take_first_id(reader_t *r, int64_t at)
{
    state_t *s = &r->at;
    int64_t next = behind_known(r, at, &r->snps, s->first + s->run);
    if (next < 0 && s->run == 0 && s->place && s->first + 1 < s->snps) {
        s->run = 1, s->place = 0; /* the first row of the matrix is over, all SNPs are known */
        next = behind_known(r, at, &r->snps, s->first + 1);
    }
    return next;
}

/* Where the value begins; -1 if RSID2 is not the SNP that comes next. */
INLINE int64_t take_second_id(reader_t *r, int64_t at)
{
    state_t *s = &r->at;
    if (s->run || !s->place)
        return behind_known(r, at, &r->snps, s->first + s->run + s->place);
    const int64_t next = behind_new(r, at, &r->snps, s->snps);
    s->snps += next >= 0;
    return next;
}

/* Reads the lines of a matrix' row behind one that begins at `begin` and ends at `stop`, while they are as expected;
   returns where the last one ends. What is before RSID2, so many bytes, is as on that line. */
INLINE int64_t take_rest_of_run(reader_t *r, int64_t begin, int64_t ahead, int64_t stop)
{
    const uint8_t *bytes = r->text.bytes;
    const int64_t before = r->at.first + r->at.run;
    while (before + r->at.place < r->at.snps && stop + 1 + ahead < r->text.size) {
        const int64_t line = stop + 1;
        if (!equal_bytes(bytes + line, bytes + begin, ahead))
            break;
        const int64_t value = behind_known(r, line + ahead, &r->snps, before + r->at.place);
        const int64_t end = value < 0 ? -1 : take_value(r, value);
        if (end < 0)
            break;
        stop = end;
    }
    return stop;
}

/* Reads the line at `begin`, and those that surely follow it; returns where the last one ends, -1 if it is not as
   expected. */
INLINE int64_t take_lines(reader_t *r, int64_t begin)
{
    state_t *s = &r->at;
    int64_t at = take_gene(r, begin);
    const int64_t ids = at < 0 ? -1 : take_first_id(r, at);
    at = ids < 0 ? -1 : take_second_id(r, ids);
    int64_t stop = at < 0 ? -1 : take_value(r, at);
    if (stop < 0)
        return -1;
    if (s->run > 0) {
        stop = take_rest_of_run(r, begin, ids - begin, stop);
        if (s->place == s->snps - s->first - s->run) {
            s->run = s->first + s->run + 1 < s->snps ? s->run + 1 : -1;
            s->place = 0;
        }
    }
    return stop;
}

/* Reads the rows of a block, which continue those of the blocks before; whether all were as expected. */
int64_t read_rows(const uint8_t *bytes, int64_t size, int64_t separator, state_t *state, uint8_t *gene_text,
                  int64_t *gene_ends, int64_t *gene_first, uint8_t *snp_text, int64_t *snp_ends, double *values,
                  int64_t *odd)
{
    reader_t r = {{bytes, size}, (uint8_t)separator, *state,    {gene_text, gene_ends}, {snp_text, snp_ends},
                  gene_first,    odd,                values};
    r.at.odd = 0;
    for (int64_t at = 0; at < size; at++) {
        at = take_lines(&r, at);
        if (at < 0)
            return 0;
    }
    *state = r.at;
    return 1;
}
