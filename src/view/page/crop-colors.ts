import type { ExpressionSpecification } from "maplibre-gl";
import type { LegendEntry } from "../../legend/cdl-legend.js";

/** Color of codes that are not in the legend and, in the safe palette, of all crops beyond the first nine. */
export const GRAY = "#9e9e9e";

/** Paul Tol's `muted`: nine colors that are distinct for all common kinds of color blindness (personal.sron.nl/~pault). */
export const SAFE = [
  "#ddcc77",
  "#117733",
  "#cc6677",
  "#88ccee",
  "#aa4499",
  "#999933",
  "#332288",
  "#44aa99",
  "#882255",
] as const;

/** Two crops in one year. USDA gives them the color of one of the two; maps hatch them. */
export function isDoubleCrop(name: string): boolean {
  return name.startsWith("Dbl Crop");
}

export interface ColorChoice {
  readonly legend: readonly LegendEntry[];
  /** USDA's colors, or the safe ones. */
  readonly safe: boolean;
  /** Codes that get the safe colors, most important first. */
  readonly ranking: readonly number[];
}

/** Name and color of every crop code. */
export class CropColors {
  readonly #entries: ReadonlyMap<number, LegendEntry>;
  readonly #safe: ReadonlyMap<number, string> | undefined;

  constructor({ legend, safe, ranking }: ColorChoice) {
    this.#entries = new Map(legend.map((entry) => [entry.code, entry]));
    const ranked = ranking.slice(0, SAFE.length).map((code, i) => [code, SAFE[i] as string] as const);
    this.#safe = safe ? new Map(ranked) : undefined;
  }

  nameOf(code: number): string {
    return this.#entries.get(code)?.name ?? `Code ${code}`;
  }

  colorOf(code: number): string {
    if (this.#safe !== undefined) return this.#safe.get(code) ?? GRAY;
    return this.#entries.get(code)?.color ?? GRAY;
  }

  /** The color of a field on the map; parameters as for `fill`. */
  onMap(code: number, shown: (code: number) => boolean, faded: string): string {
    return shown(this.#entries.has(code) ? code : UNNAMED) ? this.colorOf(code) : faded;
  }

  /** Codes of the legend that are two crops in one year. */
  get doubleCrops(): number[] {
    return [...this.#entries.values()].filter(({ name }) => isDoubleCrop(name)).map(({ code }) => code);
  }

  /**
   * The fill of a field on the map.
   *
   * @param attribute  property that holds the code; a field without it has no fill.
   * @param shown      false for crops that fade into the background.
   * @param faded      color of those.
   */
  fill(attribute: string, shown: (code: number) => boolean, faded: string): ExpressionSpecification {
    const byColor = new Map<string, number[]>();
    for (const code of this.#entries.keys()) {
      const color = shown(code) ? this.colorOf(code) : faded;
      byColor.set(color, [...(byColor.get(color) ?? []), code]);
    }
    // Codes that are not in the legend get a negative code for `shown`: they are shown unless everything else fades.
    const rest = shown(UNNAMED) ? GRAY : faded;
    const cases = [...byColor].flatMap(([color, codes]) => [codes, color]);
    const match = ["match", ["get", attribute], ...cases, rest] as unknown as ExpressionSpecification;
    return ["case", ["has", attribute], match, "rgba(0, 0, 0, 0)"];
  }
}

/** Represents every code that is not in the legend. */
export const UNNAMED = -1;
