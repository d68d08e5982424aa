/* S-PrediXcan for a tile of traits, in one pass over models and GWAS columns; tiles.py says what the arguments are.

   What the models of one stretch of the genome need of the GWAS columns is kept in a window, traits side by side: one
   SNP of a model is then one run of cache lines, and the window stays in the second-level cache. It is filled line by
   line, LINE variants at a time, as the models come to need them, and the oldest line makes room; which line when is
   planned once for all tiles. Bytes moved per trait: z and beta once, results once. */
#include "cpu.h"

enum {
    QUAD = 4,   /* traits of one vector: what every processor has registers for */
    LANES = 8,  /* traits summed together, two vectors of each statistic: their sums do not wait for each other */
    LINE = 16,  /* variants that enter the window together: one cache line of float32 */
    AHEAD = 4,  /* lines of the columns that are asked of the memory before they are needed */
};

typedef float floats __attribute__((vector_size(4 * QUAD)));
typedef int32_t bits __attribute__((vector_size(4 * QUAD)));
typedef double doubles __attribute__((vector_size(8 * QUAD)));

/* The most lines that any one model has SNPs in. seen (lines of the panel): scratch, all -1. */
int64_t most_lines(int64_t models, const int64_t *offsets, const int32_t *variants, int64_t *seen)
{
    int64_t most = 0;
    for (int64_t model = 0; model < models; model++) {
        int64_t lines = 0;
        for (int64_t entry = offsets[model]; entry < offsets[model + 1]; entry++) {
            lines += seen[variants[entry] / LINE] != model;
            seen[variants[entry] / LINE] = model;
        }
        most = lines > most ? lines : most;
    }
    return most;
}

/* Plans which lines enter the window, in which order, before which model, and where every entry's variant then is.

   offsets (models + 1), variants (entries): CSR in the order in which models will be scored. most: lines of one model.
   lines: of the window, a power of two, more than that. entered (lines of the panel): scratch, all INT64_MIN.
   fills (entries at most): out, line of the panel; until (models): out, how many lines must be in before a model;
   places (entries): out, row of the window. Returns the number of fills. */
int64_t plan_window(int64_t models, const int64_t *offsets, const int32_t *variants, int64_t most, int64_t lines,
                    int64_t *entered, int32_t *fills, int64_t *until, int32_t *places)
{
    int64_t filled = 0;
    for (int64_t model = 0; model < models; model++) {
        /* A line that this model's own fills could push out counts as gone already. */
        const int64_t oldest = filled + most - lines;
        for (int64_t entry = offsets[model]; entry < offsets[model + 1]; entry++) {
            const int32_t line = variants[entry] / LINE;
            if (entered[line] < oldest) {
                fills[filled] = line;
                entered[line] = filled++;
            }
            places[entry] = (int32_t)((entered[line] & (lines - 1)) * LINE + variants[entry] % LINE);
        }
        until[model] = filled;
    }
    return filled;
}

typedef struct {
    int64_t models, patterns, width, lanes, variants, lines, fills; /* lanes: width in whole groups of LANES */
} sizes_t;

/* Asks the memory for a line of the panel in every column. */
INLINE void prefetch_line(const sizes_t *n, const float *const *z, const float *const *beta, int64_t line)
{
    for (int64_t lane = 0; lane < n->width; lane++) {
        __builtin_prefetch(z[lane] + line * LINE);
        if (beta[lane])
            __builtin_prefetch(beta[lane] + line * LINE);
    }
}

/* One after the other an element of each, from their lower or upper halves. */
#if defined(__clang__) || __GNUC__ >= 12
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define ZIP_LOW(a, b) __builtin_shuffle(a, b, (bits){0, 4, 1, 5})
#define ZIP_HIGH(a, b) __builtin_shuffle(a, b, (bits){2, 6, 3, 7})
#endif

/* Writes 4 x 4 values as rows that lie `step` values apart, transposed. */
INLINE void put_transposed(const floats from[QUAD], float *row, int64_t step)
{
    const floats a = ZIP_LOW(from[0], from[2]), b = ZIP_HIGH(from[0], from[2]);
    const floats c = ZIP_LOW(from[1], from[3]), d = ZIP_HIGH(from[1], from[3]);
    const floats rows[QUAD] = {ZIP_LOW(a, c), ZIP_HIGH(a, c), ZIP_LOW(b, d), ZIP_HIGH(b, d)};
    for (int i = 0; i < QUAD; i++)
        memcpy(row + i * step, &rows[i], sizeof rows[i]);
}

/* Puts 4 variants of up to 4 traits, z and beta, into rows of the window: 0 where z is missing or there is no trait;
   beta is NaN where only it is missing. */
INLINE void fill_block(const sizes_t *n, const float *const *z, const float *const *beta, int64_t first, int64_t here,
                       float *row)
{
    floats from_z[QUAD] = {{0}}, from_beta[QUAD] = {{0}};
    for (int64_t lane = 0; lane < here; lane++) {
        floats values, effects = (floats){0} + NAN;
        memcpy(&values, z[lane] + first, sizeof values);
        if (beta[lane])
            memcpy(&effects, beta[lane] + first, sizeof effects);
        const bits known = values == values; /* all bits set, or none for NaN */
        from_z[lane] = (floats)((bits)values & known);
        from_beta[lane] = (floats)((bits)effects & known);
    }
    put_transposed(from_z, row, 2 * n->lanes);
    put_transposed(from_beta, row + n->lanes, 2 * n->lanes);
}

/* Puts a line of up to 4 traits into the window. A row of it holds z of all lanes, then beta of all lanes. */
INLINE void fill_quad(const sizes_t *n, const float *const *z, const float *const *beta, int64_t first, int64_t here,
                      float *rows)
{
    for (int64_t block = 0; block < LINE; block += QUAD)
        if (here >= QUAD)
            fill_block(n, z, beta, first + block, QUAD, rows + block * 2 * n->lanes);
        else
            fill_block(n, z, beta, first + block, here, rows + block * 2 * n->lanes);
}

INLINE void fill_line(const sizes_t *n, const float *const *z, const float *const *beta, int64_t line, float *rows)
{
    for (int64_t quad = 0; quad < n->lanes; quad += QUAD)
        if (quad < n->width)
            fill_quad(n, z + quad, beta + quad, line * LINE, n->width - quad, rows + quad);
        else /* of the window the lanes without a trait */
            fill_quad(n, NULL, NULL, 0, 0, rows + quad);
}

/* The last line, where the columns end before it does: through copies that are long enough. */
INLINE void fill_last_line(const sizes_t *n, const float *const *z, const float *const *beta, float *rows)
{
    const int64_t line = n->variants / LINE, count = n->variants % LINE;
    for (int64_t quad = 0; quad < n->lanes; quad += QUAD) {
        float copies[2][QUAD][LINE] = {{{0}}};
        const float *z_copies[QUAD] = {NULL}, *beta_copies[QUAD] = {NULL};
        for (int64_t lane = 0; lane < QUAD && quad + lane < n->width; lane++) {
            memcpy(copies[0][lane], z[quad + lane] + line * LINE, count * sizeof(float));
            z_copies[lane] = copies[0][lane];
            if (beta[quad + lane]) {
                memcpy(copies[1][lane], beta[quad + lane] + line * LINE, count * sizeof(float));
                beta_copies[lane] = copies[1][lane];
            }
        }
        fill_quad(n, z_copies, beta_copies, 0, n->width - quad, rows + quad);
    }
}

typedef struct {
    doubles z[2], effect[2]; /* LANES traits */
} sums_t;

/* Sums w sigma z and w sigma^2 beta of one model in LANES traits, SNP after SNP in their stored order. */
INLINE sums_t sum_model(const sizes_t *n, int64_t begin, int64_t end, const int32_t *places, const double *z_weights,
                        const double *effect_weights, const float *window)
{
    doubles z0 = {0}, z1 = {0}, effect0 = {0}, effect1 = {0};
    for (int64_t entry = begin; entry < end; entry++) {
        const float *row = window + (int64_t)places[entry] * 2 * n->lanes;
        floats at[4];
        memcpy(at, row, 2 * sizeof(floats));
        memcpy(at + 2, row + n->lanes, 2 * sizeof(floats));
        z0 += __builtin_convertvector(at[0], doubles) * z_weights[entry];
        z1 += __builtin_convertvector(at[1], doubles) * z_weights[entry];
        effect0 += __builtin_convertvector(at[2], doubles) * effect_weights[entry];
        effect1 += __builtin_convertvector(at[3], doubles) * effect_weights[entry];
    }
    return (sums_t){{z0, z1}, {effect0, effect1}};
}

/* Divides each lane by the value of its trait's pattern of missing SNPs; traits mostly share one. */
INLINE void divide(doubles sums[2], const sizes_t *n, const double *values, const int64_t *pattern_of, int64_t here,
                   int64_t model)
{
    double by[LANES] = {0};
    if (n->patterns == 1) {
        sums[0] /= values[model];
        sums[1] /= values[model];
        return;
    }
    for (int64_t lane = 0; lane < here; lane++)
        by[lane] = values[pattern_of[lane] * n->models + model];
    for (int half = 0; half < 2; half++) {
        doubles divisor;
        memcpy(&divisor, by + half * QUAD, sizeof divisor);
        sums[half] /= divisor;
    }
}

#define SCORE_TILE(NAME, REAL)                                                                                         \
    FOR_EVERY_PROCESSOR void NAME(                                                                                     \
        const sizes_t *n, const int64_t *offsets, const int32_t *places, const double *z_weights,                      \
        const double *effect_weights, const int32_t *fills, const int64_t *until, const int32_t *tissue,               \
        const int64_t *row, const float *const *z, const float *const *beta, const double *variance,                   \
        const double *deviation, const int64_t *pattern_of, float *window, REAL *const *z_out,                         \
        REAL *const *effect_out)                                                                                       \
    {                                                                                                                  \
        int64_t filled = 0;                                                                                            \
        for (int64_t model = 0; model < n->models; model++) {                                                          \
            for (; filled < until[model]; filled++) {                                                                  \
                float *rows = window + (filled & (n->lines - 1)) * LINE * 2 * n->lanes;                                \
                if (filled + AHEAD < n->fills)                                                                         \
                    prefetch_line(n, z, beta, fills[filled + AHEAD]);                                                  \
                if ((fills[filled] + 1) * (int64_t)LINE <= n->variants)                                                \
                    fill_line(n, z, beta, fills[filled], rows);                                                        \
                else                                                                                                   \
                    fill_last_line(n, z, beta, rows);                                                                  \
            }                                                                                                          \
            if (tissue[model] < 0)                                                                                     \
                continue;                                                                                              \
            for (int64_t group = 0; group < n->lanes; group += LANES) {                                                \
                sums_t sums = sum_model(n, offsets[model], offsets[model + 1], places, z_weights, effect_weights,      \
                                        window + group);                                                               \
                const int64_t here = n->width - group < LANES ? n->width - group : LANES;                              \
                divide(sums.z, n, deviation, pattern_of + group, here, model);                                         \
                divide(sums.effect, n, variance, pattern_of + group, here, model);                                     \
                REAL *const *z_to = z_out + tissue[model] * n->width + group;                                          \
                REAL *const *effect_to = effect_out + tissue[model] * n->width + group;                                \
                for (int64_t lane = 0; lane < here; lane++) {                                                          \
                    z_to[lane][row[model]] = (REAL)sums.z[lane / QUAD][lane % QUAD];                                   \
                    effect_to[lane][row[model]] = (REAL)sums.effect[lane / QUAD][lane % QUAD];                         \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

SCORE_TILE(score_tile_float, float)
SCORE_TILE(score_tile_double, double)

/* u' Gamma u of chosen models, one streaming pass over their packed upper triangles; what is 0 in u costs nothing.
   A sum that is at most `rounding` times the sum of its absolute terms has cancelled and is 0. */
FOR_EVERY_PROCESSOR void quadratic_forms(int64_t count, const int64_t *offsets, const double *values,
                                         const int64_t *ld_offsets, const double *ld, const int64_t *models,
                                         double rounding, double *out)
{
    for (int64_t place = 0; place < count; place++) {
        const int64_t model = models[place], length = offsets[model + 1] - offsets[model];
        const double *u = values + offsets[model], *row = ld + ld_offsets[model];
        double total = 0.0, absolute = 0.0;
        for (int64_t i = 0; i < length; row += length - i, i++) {
            if (u[i] == 0.0)
                continue;
            double sum = 0.0, absolute_sum = 0.0;
            for (int64_t k = 1; k < length - i; k++) {
                const double product = row[k] * u[i + k];
                sum += product;
                absolute_sum += fabs(product);
            }
            const double own = row[0] * u[i] * u[i];
            total += own + 2.0 * u[i] * sum;
            absolute += fabs(own) + 2.0 * fabs(u[i]) * absolute_sum;
        }
        out[place] = fabs(total) <= rounding * absolute ? 0.0 : total;
    }
}
