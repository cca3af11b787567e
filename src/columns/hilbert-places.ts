/** Bits of a position on the Hilbert curve of zoom 14. */
export const PLACE_BITS = 28;
/** Marks a row that is in no tile. */
export const NO_PLACE = 2 ** 32 - 1;
