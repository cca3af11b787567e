import { CDL_LEGEND, cropName } from "../legend/cdl-legend.js";
import type { ByYear, HistoryHeader, HistoryLegend } from "./format.js";
import { toCent } from "./summary-tables.js";
import type { Tally } from "./tally.js";

/** Color of a code that USDA does not name. */
const GRAY = "#9e9e9e";

const COLORS = new Map(CDL_LEGEND.map(({ code, color }) => [code, color]));

export function makeLegend(tally: Tally, header: HistoryHeader): HistoryLegend {
  const { version, region, years, missing, area } = header;
  const present = years.filter((year) => !missing.includes(year));
  const amounts = (code: number | undefined): { fields: ByYear; hectares: ByYear } => {
    const all = present.map((year) => [year, tally.amount(year, code)] as const);
    return {
      fields: Object.fromEntries(all.map(([year, { fields }]) => [year, fields])),
      hectares: Object.fromEntries(all.map(([year, { hectares }]) => [year, toCent(hectares)])),
    };
  };
  return {
    version,
    region,
    years,
    missing,
    area,
    fields: tally.rows,
    fieldsWithoutArea: tally.rowsWithoutArea,
    crops: tally.codes.map((code) => ({
      code,
      name: cropName(code),
      color: COLORS.get(code) ?? GRAY,
      ...amounts(code),
    })),
    noCrop: amounts(undefined),
  };
}
