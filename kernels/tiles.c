/* S-PrediXcan for a tile of traits, in one pass over models and GWAS columns; see tiles.py for the arguments.

   Models come in the order of their first SNP, and so do the variants of the panel. A window of the GWAS columns,
   traits side by side, therefore slides along the genome: what one SNP of a model needs is one run of cache lines,
   and the whole window stays in the second-level cache. Bytes moved per trait: z and beta once, results once. */
#include "cpu.h"

enum {
    LANES = 8,   /* traits summed together: one or two vector registers of float64 */
    STRIP = 16,  /* variants put into the window at a time: one cache line of float32 */
};

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef double doubles __attribute__((vector_size(8 * LANES)));

typedef struct {
    int64_t models, entries, patterns, width, lanes, variants, rows; /* lanes: width in whole groups; rows: a power of 2 */
} sizes_t;

/* Puts variants first .. first + STRIP - 1 into the window, 0 where z is missing or there is no trait. A row holds z
   of all lanes, then beta of all lanes; beta is NaN where only it is missing. */
INLINE void fill_strip(const sizes_t *n, const float *const *z, const float *const *beta, int64_t first, float *window)
{
    float strip[2][LANES][STRIP];
    const int64_t count = n->variants - first < STRIP ? n->variants - first : STRIP;
    for (int64_t group = 0; group < n->lanes; group += LANES) {
        memset(strip, 0, sizeof strip);
        for (int64_t lane = 0; lane < LANES && group + lane < n->width; lane++) {
            const float *from_z = z[group + lane] + first, *from_beta = beta[group + lane];
            float *to_z = strip[0][lane], *to_beta = strip[1][lane];
            from_beta = from_beta ? from_beta + first : NULL;
            for (int64_t i = 0; i < count; i++) {
                const int known = from_z[i] == from_z[i]; /* false for NaN alone */
                to_z[i] = known ? from_z[i] : 0.0f;
                to_beta[i] = !known ? 0.0f : from_beta ? from_beta[i] : NAN;
            }
        }
        for (int64_t i = 0; i < count; i++) {
            float *row = window + ((first + i) & (n->rows - 1)) * 2 * n->lanes + group;
            for (int64_t lane = 0; lane < LANES; lane++) {
                row[lane] = strip[0][lane][i];
                row[n->lanes + lane] = strip[1][lane][i];
            }
        }
    }
}

/* Sums w sigma z and w sigma^2 beta of one model in LANES traits, SNP after SNP in their stored order. */
INLINE void sum_model(const sizes_t *n, int64_t begin, int64_t end, const int32_t *variants, const double *z_weights,
                      const double *effect_weights, const float *window, doubles *z_sum, doubles *effect_sum)
{
    doubles z = {0}, effect = {0};
    for (int64_t entry = begin; entry < end; entry++) {
        const float *row = window + ((int64_t)variants[entry] & (n->rows - 1)) * 2 * n->lanes;
        floats z_here, beta_here;
        memcpy(&z_here, row, sizeof z_here);
        memcpy(&beta_here, row + n->lanes, sizeof beta_here);
        z += __builtin_convertvector(z_here, doubles) * z_weights[entry];
        effect += __builtin_convertvector(beta_here, doubles) * effect_weights[entry];
    }
    *z_sum = z;
    *effect_sum = effect;
}

#define SCORE_TILE(NAME, REAL)                                                                                         \
    FOR_EVERY_PROCESSOR void NAME(                                                                                     \
        const sizes_t *n, const int64_t *offsets, const int32_t *variants, const double *z_weights,                    \
        const double *effect_weights, const int64_t *first, const int64_t *last, const int32_t *tissue,                \
        const int64_t *row, const float *const *z, const float *const *beta, const double *variance,                   \
        const int64_t *pattern_of, float *window, REAL *const *z_out, REAL *const *effect_out)                                                    \
    {                                                                                                                  \
        int64_t filled = 0;                                                                                            \
        for (int64_t model = 0; model < n->models; model++) {                                                          \
            const int64_t begin = offsets[model], end = offsets[model + 1];                                            \
            if (tissue[model] < 0)                                                                                     \
                continue;                                                                                              \
            if (filled < first[model]) /* no model wants what lies between */                                          \
                filled = first[model];                                                                                 \
            for (; filled <= last[model]; filled += STRIP)                                                             \
                fill_strip(n, z, beta, filled, window);                                                                \
            REAL *const *z_to = z_out + tissue[model] * n->width;                                                      \
            REAL *const *effect_to = effect_out + tissue[model] * n->width;                                            \
            for (int64_t group = 0; group < n->lanes; group += LANES) {                                                \
                doubles z_sum, effect_sum;                                                                             \
                sum_model(n, begin, end, variants, z_weights, effect_weights, window + group, &z_sum, &effect_sum);    \
                const int64_t here = n->width - group < LANES ? n->width - group : LANES;                              \
                doubles var_g = {0};                                                                                   \
                for (int64_t lane = 0; lane < here; lane++)                                                            \
                    var_g[lane] = variance[pattern_of[group + lane] * n->models + model];                              \
                const doubles effect = effect_sum / var_g;                                                             \
                for (int64_t lane = 0; lane < here; lane++) {                                                          \
                    z_to[group + lane][row[model]] = (REAL)(z_sum[lane] / sqrt(var_g[lane]));                          \
                    effect_to[group + lane][row[model]] = (REAL)effect[lane];                                          \
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
