// Arithmetic of var_g = u' G u over a packed upper triangle.
#pragma once
#include "host_device.h"

// An entry of an upper triangle packed row by row, i <= j.
struct TriangleEntry {
    long long i;
    long long j;
};

// The entry `step` further on in the packing of an n x n triangle. Row i + 1 begins at column i + 1.
GPUTWAS_HD void triangle_advance(TriangleEntry& entry, long long step, long long n) {
    entry.j += step;
    while (entry.j >= n && entry.i < n) {
        ++entry.i;
        entry.j = entry.j - n + entry.i;
    }
}

// The sum of the terms, and of their absolute values, against which a sum that cancelled is told from a small one.
struct VarianceSums {
    double total;
    double absolute;
};

GPUTWAS_HD void variance_add(VarianceSums& sums, double ld, double u_i, double u_j, bool diagonal) {
    const double term = (diagonal ? ld : 2.0 * ld) * u_i * u_j;
    sums.total += term;
    sums.absolute += fabs(term);
}

// var_g: NaN without a SNP, exactly 0 where the sum is the rounding error of its terms.
GPUTWAS_HD double variance_of(const VarianceSums& sums, int used, double rounding) {
    if (used == 0) return nan("");
    return fabs(sums.total) <= rounding * sums.absolute ? 0.0 : sums.total;
}
