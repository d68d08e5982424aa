/* LD triangles of models out of those of a covariance file; see ld.py for the arguments.

   In: packed upper triangles gene by gene, and the names of their SNPs and of the models'. Out: the triangles of the
   models, turned to the panel's alleles, and w' Gamma w. One pass over the values, 8 bytes read and 8 written for
   each. */
#include "words.h"

/* Texts one after the other, and where each begins, and the end. */
typedef struct {
    const uint8_t *bytes;
    const int64_t *ends;
} texts_t;

INLINE int same_text(const texts_t *one, int64_t i, const texts_t *other, int64_t j)
{
    const int64_t length = one->ends[i + 1] - one->ends[i];
    return length == other->ends[j + 1] - other->ends[j]
           && equal_bytes(one->bytes + one->ends[i], other->bytes + other->ends[j], length);
}

/* The entry of each gene's SNPs in the gene's model, -1 where the model has no such SNP. A gene has few SNPs, mostly
   in the order of its model: their names are compared with that entry first, then with all others. */
void find_entries(int64_t genes, const int64_t *model, const int64_t *sizes, const int32_t *snps,
                  const uint8_t *snp_bytes, const int64_t *snp_ends, const int64_t *offsets, const int32_t *ids,
                  const uint8_t *id_bytes, const int64_t *id_ends, int64_t *found)
{
    const texts_t snp_texts = {snp_bytes, snp_ends}, id_texts = {id_bytes, id_ends};
    int64_t at = 0;
    for (int64_t gene = 0; gene < genes; gene++) {
        const int64_t m = model[gene], last = at + sizes[gene];
        const int64_t begin = m < 0 ? 0 : offsets[m], count = m < 0 ? 0 : offsets[m + 1] - begin;
        int64_t next = 0; /* entry behind the last one found */
        for (; at < last; at++) {
            found[at] = -1;
            for (int64_t tried = 0; tried < count && found[at] < 0; tried++, next = next + 1 < count ? next + 1 : 0)
                if (same_text(&snp_texts, snps[at], &id_texts, ids[begin + next]))
                    found[at] = begin + next;
        }
    }
}

/* Whether any gene names a SNP twice. */
int64_t names_twice(int64_t genes, const int64_t *sizes, const uint8_t *bytes, const int64_t *ends)
{
    const texts_t texts = {bytes, ends};
    int64_t first = 0;
    for (int64_t gene = 0; gene < genes; first += sizes[gene], gene++)
        for (int64_t i = first; i < first + sizes[gene]; i++)
            for (int64_t j = first; j < i; j++)
                if (same_text(&texts, i, &texts, j))
                    return 1;
    return 0;
}

/* Order of the entries, each model's that are listed first, as they are listed, then its others as they were.
   `filled` (models,) and `listed` (entries,) are room to work in, which begins as the offsets and as zeros. */
void listed_first(int64_t genes, int64_t models, const int64_t *model, const int64_t *sizes, const int64_t *entries,
                  const int64_t *offsets, int64_t *filled, uint8_t *listed, int64_t *order, int32_t *n_listed)
{
    int64_t at = 0;
    for (int64_t gene = 0; gene < genes; gene++) {
        const int64_t m = model[gene], end = at + sizes[gene];
        for (; at < end; at++) {
            const int64_t entry = entries[at];
            /* one that is listed twice, or is of another model, would run over the end of this one */
            if (m < 0 || entry < offsets[m] || entry >= offsets[m + 1] || listed[entry])
                continue;
            order[filled[m]++] = entry;
            listed[entry] = 1;
        }
    }
    for (int64_t m = 0; m < models; m++) {
        n_listed[m] = (int32_t)(filled[m] - offsets[m]);
        for (int64_t entry = offsets[m]; entry < offsets[m + 1]; entry++)
            if (!listed[entry])
                order[filled[m]++] = entry;
    }
}

/* What `model_triangles` carries from gene to gene: the first entry with a negative variance, and that variance. */
typedef struct {
    int64_t entry;
    double variance;
} negative_t;

/* Turns one gene's triangle and returns w' Gamma w, summed row by row; cells of a SNP without an entry are left out.
   `out` may be `values`: a cell is read before anything at or behind it is written. */
INLINE double turn_triangle(int64_t size, const int64_t *entries, const double *values, const double *weights,
                            const double *signs, double *out, negative_t *negative)
{
    double total = 0.0;
    for (int64_t i = 0; i < size; values += size - i, i++) {
        const int64_t one = entries[i];
        if (one < 0)
            continue;
        const double weight = 2.0 * weights[one], sign = signs[one], own = values[0];
        if (own < 0 && negative->entry < 0)
            *negative = (negative_t){one, own};
        total += weights[one] * weights[one] * own;
        *out++ = own * sign * sign;
        for (int64_t k = 1; k < size - i; k++) {
            const int64_t two = entries[i + k];
            if (two < 0)
                continue;
            const double value = values[k];
            total += weight * weights[two] * value;
            *out++ = value * sign * signs[two];
        }
    }
    return total;
}

/* Fills the models' triangles and their w' Gamma w; returns the first entry with a negative variance, or -1. */
int64_t model_triangles(int64_t genes, const int64_t *model, const int64_t *sizes, const int64_t *entries,
                        const double *values, const double *weights, const double *signs, const int64_t *starts,
                        double *ld, double *var_g, double *variance)
{
    negative_t negative = {-1, 0.0};
    for (int64_t gene = 0; gene < genes; gene++) {
        const int64_t size = sizes[gene], m = model[gene];
        int64_t used = 0;
        for (int64_t i = 0; i < size && m >= 0; i++)
            used += entries[i] >= 0;
        if (used)
            var_g[m] = turn_triangle(size, entries, values, weights, signs, ld + starts[m], &negative);
        entries += size;
        values += size * (size + 1) / 2;
    }
    *variance = negative.variance;
    return negative.entry;
}
