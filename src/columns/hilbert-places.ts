/** Bits of a place on the Hilbert curve: that of zoom 14. */
export const PLACE_BITS = 28;
/** A row that is in no tile. */
export const NO_PLACE = 2 ** 32 - 1;
