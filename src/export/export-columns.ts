import { suggestion } from "../config/config.js";
import { cropColumn, shareColumn } from "../history/format.js";
import { PipelineError } from "../pipeline/errors.js";
import type { Value } from "./filter.js";
import type { FieldRecord } from "./record-file.js";

/** As many as a float32 tells apart; more are noise of its binary fractions. */
const FLOAT32_DIGITS = 7;

/** A column of an export but for the geometry. */
export interface ExportColumn {
  readonly name: string;
  readonly kind: "id" | "area" | "crop" | "share" | "text";
  /** Never null. */
  readonly required?: boolean;
  readonly valueIn: (record: Pick<FieldRecord, "id" | "areaHa" | "crops" | "shares">) => Value;
}

/** `field_id`, `area_ha` where areas are known, then crops and shares by year, as in the history. */
export function allColumns(years: readonly number[], hasArea: boolean): ExportColumn[] {
  const area: ExportColumn = {
    name: "area_ha",
    kind: "area",
    valueIn: ({ areaHa }) => (Number.isNaN(areaHa) ? null : Number(areaHa.toPrecision(FLOAT32_DIGITS))),
  };
  return [
    { name: "field_id", kind: "id", valueIn: ({ id }) => id },
    ...(hasArea ? [area] : []),
    ...years.map(
      (year, i): ExportColumn => ({ name: cropColumn(year), kind: "crop", valueIn: ({ crops }) => crops[i] ?? null }),
    ),
    ...years.map(
      (year, i): ExportColumn => ({
        name: shareColumn(year),
        kind: "share",
        valueIn: ({ shares }) => shares[i] ?? null,
      }),
    ),
  ];
}

/**
 * Those that `--columns` names, in its order; the id is always there, first where it is not named.
 *
 * @throws {PipelineError} usage: an unknown column, or one twice.
 */
export function chosenColumns(text: string | undefined, all: readonly ExportColumn[]): readonly ExportColumn[] {
  if (text === undefined) return all;
  const names = text.split(",").map((name) => name.trim());
  if (!names.includes("field_id")) names.unshift("field_id");
  return names.map((name, i) => {
    const column = all.find((one) => one.name === name);
    const known = all.map((one) => one.name);
    if (column === undefined) {
      throw new PipelineError("usage", `--columns names an unknown column${suggestion(name, known)}`, {
        expected: known.join(" "),
        received: name,
      });
    }
    if (names.indexOf(name) !== i) throw new PipelineError("usage", "--columns names a column twice", { column: name });
    return column;
  });
}
