/* Fills a table of texts, looks texts up in it, and numbers texts. In: texts as bytes, one after the other, and where
   each begins. Out: the table's arrays; pairs of a text and one of the table that is equal; a number for each text,
   the same for equal ones. See texts.py for the arguments. */
#include "texts.h"

/* Texts are put in from the last to the first, so that the first of those that are equal comes to stand in the slot. */
int64_t fill_table(int64_t count, const uint8_t *bytes, int64_t size, const int64_t *ends, const uint8_t *valid,
                   int64_t words, uint64_t *present, int64_t slots, uint64_t *slot, int32_t *next)
{
    const table_t table = {present, slot, bytes, ends, 64 * (uint64_t)words - 1, (uint64_t)slots - 1};
    const text_t text = {bytes, size};
    int64_t repeats = 0;
    for (int64_t i = count - 1; i >= 0; i--) {
        next[i] = -1;
        if (!valid[i])
            continue;
        const uint64_t h = hash_text(&text, ends[i], ends[i + 1]), bit = bit_of(&table, h);
        present[bit / 64] |= UINT64_C(1) << bit % 64;
        const uint64_t at = slot_of(&table, bytes + ends[i], ends[i + 1] - ends[i], h);
        if (slot[at]) {
            next[i] = (int32_t)((uint32_t)slot[at] - 1);
            repeats++;
        }
        slot[at] = h >> 32 << 32 | (uint64_t)(i + 1);
    }
    return repeats;
}

/* Number of the first text in the table that is equal to text[place:stop], -1 if there is none. */
INLINE int64_t first_equal(const table_t *table, const text_t *text, int64_t place, int64_t stop)
{
    const uint64_t h = hash_text(text, place, stop), bit = bit_of(table, h);
    if (!(table->present[bit / 64] >> bit % 64 & 1))
        return -1;
    const uint64_t slot = table->slots[slot_of(table, text->bytes + place, stop - place, h)];
    return (int64_t)(slot & UINT32_MAX) - 1;
}

/* Pairs of a row and a text of the table, ascending; returns how many there are, of which `room` are written. */
int64_t find_texts(int64_t words, const uint64_t *present, int64_t slots, const uint64_t *slot,
                   const uint8_t *table_bytes, const int64_t *table_ends, const int32_t *next, int64_t count,
                   const uint8_t *bytes, int64_t size, const int64_t *ends, int64_t room, int64_t *rows, int64_t *found)
{
    const table_t table = {present, slot, table_bytes, table_ends, 64 * (uint64_t)words - 1, (uint64_t)slots - 1};
    const text_t text = {bytes, size};
    int64_t pairs = 0;
    for (int64_t row = 0; row < count; row++)
        for (int64_t i = first_equal(&table, &text, ends[row], ends[row + 1]); i >= 0; i = next[i]) {
            if (pairs < room)
                rows[pairs] = row, found[pairs] = i;
            pairs++;
        }
    return pairs;
}

/* Numbers texts in the order in which different ones first appear; `first` are the texts that do. Returns how many.
   Hashes are made some texts ahead, so that their slots are fetched in the meantime. */
int64_t number_texts(int64_t count, const uint8_t *bytes, int64_t size, const int64_t *ends, int64_t slots,
                     uint64_t *slot, int32_t *numbers, int64_t *first)
{
    enum { AHEAD = 32 };
    const table_t table = {NULL, slot, bytes, ends, 0, (uint64_t)slots - 1};
    const text_t text = {bytes, size};
    uint64_t hashes[AHEAD];
    int64_t different = 0;
    for (int64_t begin = 0; begin < count; begin += AHEAD) {
        const int64_t here = count - begin < AHEAD ? count - begin : AHEAD;
        for (int64_t i = 0; i < here; i++) {
            hashes[i] = hash_text(&text, ends[begin + i], ends[begin + i + 1]);
            __builtin_prefetch(slot + (hashes[i] & table.last_slot));
        }
        for (int64_t i = begin; i < begin + here; i++) {
            const uint64_t h = hashes[i - begin];
            const uint64_t at = slot_of(&table, bytes + ends[i], ends[i + 1] - ends[i], h);
            if (slot[at]) {
                numbers[i] = numbers[(uint32_t)slot[at] - 1];
                continue;
            }
            slot[at] = h >> 32 << 32 | (uint64_t)(i + 1);
            numbers[i] = (int32_t)different;
            first[different++] = i;
        }
    }
    return different;
}
