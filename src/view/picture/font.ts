import { GlobalFonts } from "@napi-rs/canvas";

/** Families fit for labels, best first. Icon and symbol fonts are families too, so not just any will do. */
const FAMILIES = [
  "Inter",
  "Lato",
  "Open Sans",
  "Noto Sans",
  "Source Sans 3",
  "Roboto",
  "Ubuntu",
  "DejaVu Sans",
  "Liberation Sans",
  "Helvetica Neue",
  "Arial",
  "Helvetica",
  "FreeSans",
  "Nimbus Sans",
];

/** A family of this machine's to write in; undefined on one without fonts. */
export function findFont(): string | undefined {
  const installed = new Set(GlobalFonts.families.map(({ family }) => family));
  return FAMILIES.find((family) => installed.has(family));
}
