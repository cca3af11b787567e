const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes as a person reads them: `712 B`, `1.4 GiB`, `126 GiB`. */
export function sizeText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}
