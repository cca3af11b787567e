import { listIn, type Metadata } from "../../archive/metadata.js";
import { CDL_LEGEND, cropName, type LegendEntry } from "../../legend/cdl-legend.js";
import { PipelineError } from "../../pipeline/errors.js";

/** A sample's class is one byte. */
export const MAX_CLASSES = 256;
const GRAY = "#9e9e9e";

/** No field. */
export const GROUND = 0;
/** A field without a crop. */
export const NO_CROP = 1;

/**
 * The classes of a map: a small number for every crop that occurs, in order of
 * occurrence. Maps side by side share a palette, so a crop has the same color in all.
 */
export class CropPalette {
  /** By class; the first two are background and no crop, without a color. */
  readonly crops: LegendEntry[] = [
    { code: Number.NaN, name: "", color: "#000000" },
    { code: Number.NaN, name: "no crop", color: "#000000" },
  ];
  readonly #classes = new Map<number, number>();
  readonly #legend = new Map<number, LegendEntry>();

  /** Add the names and colors of an archive's legend, or USDA's if it has none. Earlier entries stay. */
  addLegend(metadata: Metadata, path: string): void {
    for (const entry of readLegend(metadata, path)) {
      if (!this.#legend.has(entry.code)) this.#legend.set(entry.code, entry);
    }
  }

  /** Class of a crop code. A code that is not in the legend is gray. */
  classOf(code: number): number {
    let known = this.#classes.get(code);
    if (known === undefined) {
      known = this.crops.length;
      if (known === MAX_CLASSES) {
        throw new PipelineError("input", "Too many crops for one picture", {
          expected: `at most ${MAX_CLASSES - 2} codes`,
          code,
        });
      }
      this.#classes.set(code, known);
      this.crops.push(this.#legend.get(code) ?? { code, name: cropName(code), color: GRAY });
    }
    return known;
  }
}

/** @throws {PipelineError} input, if the metadata has a legend in another format. */
function readLegend(metadata: Metadata, path: string): readonly LegendEntry[] {
  if (metadata.legend === undefined) return CDL_LEGEND;
  const legend = listIn(metadata, "legend") ?? metadata.legend;
  const wrong = Array.isArray(legend) ? legend.find((entry) => !isEntry(entry)) : legend;
  if (wrong !== undefined) {
    throw new PipelineError("input", "The archive's legend cannot be read", {
      path,
      expected: 'a list of {"code": number, "name": text, "color": "#rrggbb"}',
      received: JSON.stringify(wrong),
    });
  }
  return legend as LegendEntry[];
}

function isEntry(entry: unknown): entry is LegendEntry {
  if (typeof entry !== "object" || entry === null) return false;
  const { code, name, color } = entry as Partial<Record<keyof LegendEntry, unknown>>;
  return (
    typeof code === "number" && typeof name === "string" && typeof color === "string" && /^#[0-9a-f]{6}$/i.test(color)
  );
}

/** `#rrggbb` as three bytes. */
export function rgb(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
