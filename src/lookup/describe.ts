import type { FieldHistory } from "../history/history-reader.js";
import { findCycle, rotationYears } from "../history/rotation.js";
import { cropName } from "../legend/cdl-legend.js";
import type { FoundField } from "./field-index.js";

/** All that is known of a field; crops are null where there is no history. */
export interface FieldAnswer extends FoundField {
  readonly areaHa: number | null;
  readonly attributes: Readonly<Record<string, string | number | bigint | boolean | null>>;
  readonly crops: readonly AnswerCrop[] | null;
  /** What comes again in the last years (see rotationYears); null where nothing does. */
  readonly rotation: AnswerRotation | null;
}

export interface AnswerRotation {
  /** The shortest cycle, from its lowest code. */
  readonly codes: readonly number[];
  readonly firstYear: number;
  readonly lastYear: number;
}

export interface AnswerCrop {
  readonly year: number;
  readonly code: number | null;
  readonly name: string | null;
  /** Percent of the field's pixels. */
  readonly share: number | null;
  /** The year has no zonal table; a field without a crop in a year that has one is something else. */
  readonly missing: boolean;
}

export function answerOf(
  field: FoundField,
  attributes: FieldAnswer["attributes"],
  history: FieldHistory | undefined,
  missing: readonly number[],
): FieldAnswer {
  const crops = history?.crops.map(({ year, code, share }) => {
    return { year, code, name: code === null ? null : cropName(code), share, missing: missing.includes(year) };
  });
  return { ...field, areaHa: history?.areaHa ?? null, attributes, crops: crops ?? null, rotation: rotationOf(crops) };
}

function rotationOf(crops: readonly AnswerCrop[] | undefined): AnswerRotation | null {
  const years = rotationYears((crops ?? []).filter(({ missing }) => !missing).map(({ year }) => year));
  const codes = years.flatMap((year) => crops?.find((crop) => crop.year === year)?.code ?? []);
  const cycle = codes.length === years.length ? findCycle(codes) : undefined;
  const [firstYear, lastYear] = [years[0], years.at(-1)];
  if (cycle === undefined || firstYear === undefined || lastYear === undefined) return null;
  return { codes: cycle, firstYear, lastYear };
}

/** As text, a line per year. */
export function answerText({ row, id, areaHa, bounds, onEdge, attributes, crops, rotation }: FieldAnswer): string {
  const lines = [`field ${id ?? "without an id"}${onEdge ? ", whose edge this is" : ""}`, line("row", row)];
  if (areaHa !== null) lines.push(line("area", `${areaHa.toFixed(2)} ha`));
  if (bounds !== null) lines.push(line("bounds", bounds.map((side) => side.toFixed(6)).join(",")));
  for (const [name, value] of Object.entries(attributes)) if (value !== null) lines.push(line(name, value));
  if (rotation !== null) {
    const { codes, firstYear, lastYear } = rotation;
    lines.push(line("rotation", `${codes.map(cropName).join(" > ")} (${firstYear}-${lastYear})`));
  }
  for (const { year, code, name, share, missing } of crops ?? []) {
    const crop = missing ? "(no zonal table)" : code === null ? "(no crop)" : `${share} % ${name} (${code})`;
    lines.push(line(String(year), crop));
  }
  return `${lines.join("\n")}\n`;
}

function line(name: string, value: string | number | bigint | boolean): string {
  return `  ${name.padEnd(10)} ${value}`;
}
