// Runs the per-element arithmetic of csr_gather.h on the host, over the same loops as the kernel.
#include "csr_gather.h"

extern "C" void host_csr_gather(const long long* offsets, const int* variants, const double* z_weights,
                                const double* effect_weights, const float* z, const float* beta,
                                double* z_sums, double* effect_sums, long long models, long long traits) {
    for (long long m = 0; m < models; ++m)
        for (long long t = 0; t < traits; ++t) {
            GatherSums sums = {0.0, 0.0};
            for (long long l = offsets[m]; l < offsets[m + 1]; ++l) {
                const long long at = (long long)variants[l] * traits + t;
                gather_add(sums, z_weights[l], effect_weights[l], z[at], beta[at]);
            }
            z_sums[m * traits + t] = sums.z;
            effect_sums[m * traits + t] = sums.effect;
        }
}
