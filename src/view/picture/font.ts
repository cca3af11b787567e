import { GlobalFonts } from "@napi-rs/canvas";

/** Font families for labels, best first. Not every family works: some are icon and symbol fonts. */
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

/** A font family of this machine; undefined if it has none. */
export function findFont(): string | undefined {
  const installed = new Set(GlobalFonts.families.map(({ family }) => family));
  return FAMILIES.find((family) => installed.has(family));
}
