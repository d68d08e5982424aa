"""Several rows for one variant."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gputwas.variants.align import Alignment, Reason
from gputwas.variants.duplicates import AGREEMENT, resolve_duplicates

NAN = np.nan


def resolve(index, z, sign=None, mode="strict", beta=None):
    sign = np.ones(len(z), np.int8) if sign is None else np.array(sign, np.int8)
    reason = np.select([sign == 1, sign == -1], [Reason.MATCHED, Reason.SWAPPED], Reason.ALLELE_MISMATCH)
    found = resolve_duplicates(
        np.array(index), np.array(z, float), Alignment(sign, reason.astype(np.uint8)), mode=mode,
        beta=None if beta is None else np.array(beta, float),
    )  # fmt: skip
    kept = np.flatnonzero(found.sign).tolist()
    return kept, [Reason(r) for r in found.reason]


def test_parity_last_usable_row_wins():
    kept, reason = resolve([3, 5, 3, 5, 3], [1.0, 2.0, 9.0, NAN, 7.0], [1, 1, 1, 1, 0], mode="parity")
    assert kept == [1, 2]
    assert reason == [
        Reason.DUPLICATE, Reason.MATCHED, Reason.MATCHED, Reason.MISSING_VALUE, Reason.ALLELE_MISMATCH,
    ]  # fmt: skip


def test_strict_agreeing_repeats_keep_the_first():
    kept, reason = resolve([0, 1, 0], [2.0, 1.0, 2.0])
    assert kept == [0, 1] and reason[2] is Reason.DUPLICATE


def test_strict_agreement_is_judged_after_the_sign():
    assert resolve([0, 0], [2.0, -2.0], [1, -1])[0] == [0]
    assert resolve([0, 0], [2.0, -2.0], [1, 1])[0] == []


def test_strict_contradiction_drops_all():
    kept, reason = resolve([0, 0, 0, 1], [2.0, 2.0, 2.5, 1.0])
    assert kept == [3] and reason[:3] == [Reason.DUPLICATE_CONFLICT] * 3


def test_strict_missing_repeat_loses_and_does_not_contradict():
    for z in ([NAN, 2.0], [np.inf, 2.0], [-np.inf, 2.0]):
        kept, reason = resolve([0, 0], z)
        assert kept == [1] and reason == [Reason.MISSING_VALUE, Reason.MATCHED]


def test_agreement_leaves_room_for_rounding_only():
    assert resolve([0, 0], [10.0, 10.0 * (1 + 0.9 * AGREEMENT)])[0] == [0]
    assert resolve([0, 0], [10.0, 10.0 * (1 + 1.2 * AGREEMENT)])[0] == []
    assert resolve([0, 0], [0.001, -0.8 * AGREEMENT])[0] == [0]  # rounding may turn a sign near zero
    assert resolve([0, 0], [0.0, 1.1 * AGREEMENT])[0] == []


def test_of_agreeing_rows_one_with_beta_is_kept():
    assert resolve([0, 0], [2.0, 2.0], beta=[NAN, 0.1])[0] == [1]
    assert resolve([0, 0], [2.0, 2.0], beta=[0.1, 0.1])[0] == [0]


def test_nothing_usable():
    assert resolve([], [])[0] == []
    assert resolve([1, 1], [NAN, NAN]) == ([], [Reason.MISSING_VALUE] * 2)


def test_input_is_not_written_to():
    sign, reason = np.ones(2, np.int8), np.zeros(2, np.uint8)
    for array in (sign, reason):
        array.flags.writeable = False
    resolve_duplicates(np.zeros(2, int), np.array([1.0, 5.0]), Alignment(sign, reason))


values = st.sampled_from([NAN, np.inf, -3.0, -0.005, 0.0, 0.004, 1.0, 1.004, 1.2, 3.0])
rows = st.lists(st.tuples(st.integers(0, 4), values, st.sampled_from([-1, 0, 1])), min_size=1, max_size=25)


def outcome(rows, mode):
    """Aligned z of each variant, and the number of rows for each reason."""
    index, z, sign = (np.array(c) for c in zip(*rows, strict=True))
    kept, reason = resolve(index, z, sign, mode)
    assert len(set(index[kept])) == len(kept) and np.isfinite(z[kept]).all()
    return {int(index[i]): z[i] * sign[i] for i in kept}, sorted(r for r in reason if r > 1)


@given(rows, st.randoms())
def test_strict_does_not_depend_on_the_order_of_rows(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert outcome(rows, "strict") == outcome(shuffled, "strict")


@given(rows)
def test_parity_equals_a_dictionary_filled_in_file_order(rows):
    expected = {i: z * s for i, z, s in rows if s and np.isfinite(z)}
    assert outcome(rows, "parity")[0] == expected
