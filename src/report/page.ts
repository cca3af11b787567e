import type { Run } from "./collect.js";
import { STEP_COLORS, timelineSvg } from "./timeline.js";

/** A picture of the page, inside of it. */
export interface ReportPicture {
  readonly title: string;
  readonly alt: string;
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
}

export interface ReportContents {
  readonly run: Run;
  /** Program, kernel and GDAL. */
  readonly versions: string;
  readonly generator: string;
  readonly pictures: readonly ReportPicture[];
  /** What the page cannot show, and why. */
  readonly notes: readonly string[];
}

/** Crops with a row of their own in the table of areas. */
const MAX_CROPS = 25;
const DIGEST_DIGITS = 12;

/** The report as one HTML page that loads nothing. */
export function reportPage({ run, versions, generator, pictures, notes }: ReportContents): string {
  const { region, years, missing, steps, counts, legend, transitions } = run;
  const span = years.length > 1 ? `${years[0]}-${years.at(-1)}` : `${years[0]}`;
  const title = `Crops of every field, ${region}, ${span}`;
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  const rows = Math.max(0, ...counts.map((count) => count.rows ?? 0));
  const facts = [
    [
      "Years",
      missing.length === 0 ? years.join(", ") : `${years.join(", ")}; nothing is recorded of ${missing.join(", ")}`,
    ],
    ["Fields", number(rows)],
    ["Time of all steps", duration(seconds)],
    ["Hosts", [...new Set(steps.map(({ host }) => host))].join(", ")],
    ["Made with", versions.trim().replaceAll("\n", "; ")],
  ] as const;
  const parts = [
    [
      "summary",
      "Summary",
      `<dl>${facts.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join("")}</dl>${notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join("")}`,
    ],
    ["maps", "Maps", pictures.map(figure).join("")],
    ["areas", "Areas by crop and year", legend === undefined ? NO_HISTORY : areaTable(run)],
    ["transitions", "Largest changes of crop", legend === undefined ? NO_HISTORY : transitionTable(transitions)],
    ["fields", "Fields and dirty rows", countTable(run)],
    ["time", "Time", `${timelineSvg(steps, years)}${keys()}${timeTable(run)}`],
    ["files", "What was made from what", stepTable(run)],
  ] as const;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="${escapeHtml(generator)}">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${escapeHtml(title)}</h1>
<nav aria-label="Parts">${parts.map(([id, name]) => `<a href="#${id}">${name}</a>`).join(" ")}</nav></header>
<main>
${parts.map(([id, name, body]) => `<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${name}</h2>\n${body}</section>`).join("\n")}
</main>
<footer>Crops: USDA NASS Cropland Data Layer. Areas are those of fields by majority crop, not official acreage.</footer>
</body>
</html>
`;
}

const NO_HISTORY = "<p>There is no history of these years; <code>node dist/history.js</code> makes it.</p>";

function figure({ title, alt, png, width, height }: ReportPicture): string {
  const source = `data:image/png;base64,${png.toString("base64")}`;
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><img src="${source}" alt="${escapeHtml(alt)}" width="${width}" height="${height}"></figure>\n`;
}

function areaTable({ legend, years }: Run): string {
  if (legend === undefined) return NO_HISTORY;
  const total = (hectares: Readonly<Record<string, number>>) =>
    years.reduce((sum, year) => sum + (hectares[year] ?? 0), 0);
  const crops = legend.crops
    .filter(({ hectares }) => total(hectares) > 0)
    .sort((a, b) => total(b.hectares) - total(a.hectares));
  const shown = crops.slice(0, MAX_CROPS);
  const others = crops.slice(MAX_CROPS);
  const row = (name: string, of: (year: number) => number, color?: string) =>
    `<tr><th scope="row">${color === undefined ? "" : `<span class="key" style="background:${color}"></span>`}${escapeHtml(name)}</th>${years.map((year) => `<td>${number(of(year))}</td>`).join("")}</tr>`;
  const body = [
    ...shown.map(({ name, color, hectares }) => row(name, (year) => hectares[year] ?? 0, safeColor(color))),
    ...(others.length === 0
      ? []
      : [row(`${others.length} others`, (year) => others.reduce((sum, crop) => sum + (crop.hectares[year] ?? 0), 0))]),
    row("No crop", (year) => legend.noCrop.hectares[year] ?? 0),
  ];
  return table("Hectares of fields by majority crop", ["Crop", ...years.map(String)], body);
}

function transitionTable(transitions: Run["transitions"]): string {
  if (transitions.length === 0) return "<p>No field changed its crop between these years.</p>";
  const body = transitions.map(
    ({ from, to, hectares }) =>
      `<tr><th scope="row">${escapeHtml(from)}</th><td class="text">${escapeHtml(to)}</td><td>${number(hectares)}</td></tr>`,
  );
  return table("Hectares from one year to the next, added up over the years", ["From", "To", "Hectares"], body);
}

function countTable({ counts }: Run): string {
  const reasons = [...new Set(counts.flatMap((count) => Object.keys(count.reasons)))].sort();
  const body = counts.map(
    (count) =>
      `<tr><th scope="row">${count.year}</th>${[count.rows, count.withCrop, count.dirtyRows, ...reasons.map((reason) => count.reasons[reason] ?? 0)].map((value) => `<td>${value === undefined ? "?" : number(value)}</td>`).join("")}</tr>`,
  );
  return table(
    "Rows of the fields; why some have no crop",
    ["Year", "Rows", "With a crop", "Dirty rows", ...reasons],
    body,
  );
}

function timeTable({ steps, years }: Run): string {
  const names = [...new Set(steps.filter(({ year }) => year !== undefined).map(({ step }) => step))];
  const of = (year: number | undefined, name: string) =>
    steps.filter((step) => step.year === year && step.step === name);
  const cell = (found: readonly { seconds: number }[]) =>
    found.length === 0 ? "" : found.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1);
  const body = years.map(
    (year) =>
      `<tr><th scope="row">${year}</th>${names.map((name) => `<td>${cell(of(year, name))}</td>`).join("")}</tr>`,
  );
  const once = steps.filter(({ year }) => year === undefined);
  const list = once.map(
    ({ step, seconds }) => `<tr><th scope="row">${escapeHtml(step)}</th><td>${seconds.toFixed(1)}</td></tr>`,
  );
  return `${table("Seconds by year and step", ["Year", ...names], body)}${once.length === 0 ? "" : table("Seconds of what is made once for all years", ["Step", "Seconds"], list)}`;
}

function stepTable({ steps }: Run): string {
  const body = steps.map(({ step, year, version, inputs, output, finished }) => {
    const made = new Date(finished).toISOString().slice(0, 19).replace("T", " ");
    const bytes = output.bytes === undefined ? "gone" : number(output.bytes);
    const from = Object.entries(inputs)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `<b>${escapeHtml(name)}</b> ${escapeHtml(shortened(value))}`)
      .join(", ");
    return `<tr><th scope="row">${year ?? ""} ${escapeHtml(step)}</th><td class="text">${escapeHtml(output.name)}<br><code>${shortDigest(output.digest)}</code></td><td>${bytes}</td><td class="text">${made}</td><td class="text inputs">step version ${version}; ${from}</td></tr>`;
  });
  return table(
    "Each step's output, its fingerprint, and the inputs and options that it depends on; times are UTC",
    ["Step", "Output", "Bytes", "Made", "From"],
    body,
  );
}

/** A digest is `bytes:hex`; some digits tell it from others. */
function shortDigest(digest: string): string {
  return escapeHtml(digest.slice(digest.indexOf(":") + 1, digest.indexOf(":") + 1 + DIGEST_DIGITS));
}

function shortened(value: unknown): string {
  if (typeof value === "string" && /^\d+:[0-9a-f]{64}$/.test(value)) return shortDigest(value);
  if (typeof value === "string" && /^[0-9a-f]{64}$/.test(value)) return value.slice(0, DIGEST_DIGITS);
  return typeof value === "string" ? value : JSON.stringify(value);
}

function keys(): string {
  const names = Object.entries(STEP_COLORS).filter(([name]) => name !== "publish column");
  return `<p class="keys">${[...names, ["made once", "#777777"]].map(([name, color]) => `<span class="key" style="background:${color}"></span>${name}`).join(" ")}</p>`;
}

function table(caption: string, heads: readonly string[], rows: readonly string[]): string {
  const head = heads.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join("");
  // A table that is wider than the screen scrolls by itself, by keyboard too.
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${head}</tr></thead><tbody>\n${rows.join("\n")}\n</tbody></table></div>\n`;
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function safeColor(color: string): string {
  return /^#[0-9a-f]{6}$/i.test(color) ? color : "#9e9e9e";
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b2026; --ground: #ffffff; --line: #ccd2d8; --soft: #eef1f4; --link: #0b57c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --ground: #181b1f; --line: #3c434a; --soft: #23272c; --link: #8ab8ff; } }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.5rem 3rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
h1 { margin: .5rem 0; font-size: 1.6rem; } h2 { margin: 2rem 0 .6rem; font-size: 1.2rem; }
nav a { margin-right: .9rem; } a { color: var(--link); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 0 0 1.2rem; } figcaption { font-weight: 600; margin-bottom: .3rem; } img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .2rem 0; } th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
thead th { background: var(--soft); } th[scope=row], td.text, th:first-child { text-align: left; } td.inputs { min-width: 22rem; overflow-wrap: anywhere; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .4em 0 .2em; border: 1px solid #0006; vertical-align: -.05em; }
.keys { margin: .2rem 0 1rem; } .note { padding: .4rem .8rem; background: var(--soft); }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: var(--ink); } svg .cut { stroke: var(--line); stroke-dasharray: 3 3; }
footer { margin-top: 2rem; font-size: .87rem; }
@media print { nav { display: none; } .scroll { overflow: visible; } }
`;
