import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../dist/pipeline/context.js";
import type { SampleResult } from "../dist/sample/make-sample.js";
import { measure } from "./measured.js";
import { PROJECT } from "./options.js";

export type Layout = "tiled" | "strips";
/** How a world is called in the results: by its layout, or as one of more fields. */
export type WorldName = Layout | "large" | "many";

const YEAR = 2020;
const SEED = 1;

/** Made-up fields and a year's raster, LZW, as tiles of 512 or strips of full width. */
export interface World {
  readonly name: WorldName;
  readonly layout: Layout;
  readonly fields: number;
  readonly fieldsPath: string;
  readonly rasterPath: string;
  readonly width: number;
  readonly height: number;
  readonly block: number;
  /** Megapixels. */
  readonly mpx: number;
  readonly fieldsBytes: number;
  readonly rasterBytes: number;
}

/**
 * The world of some fields and a layout; made where it is missing, kept for the next
 * run, and made anew when the generator has changed.
 */
export async function openWorld(
  data: string,
  fields: number,
  layout: Layout,
  ctx: Context,
  name: WorldName = layout,
): Promise<World> {
  const root = join(data, `${fields}-${layout}`);
  const note = join(root, "world.json");
  const generator = generatorDigest();
  const known = existsSync(note)
    ? (JSON.parse(readFileSync(note, "utf8")) as SampleResult & { generator: string })
    : undefined;
  if (known?.generator === generator) return worldOf(known, layout, name);
  ctx.log.info(`makes a world of ${fields.toLocaleString("en")} fields, ${layout}: ${root}`);
  rmSync(root, { recursive: true, force: true });
  const program = [process.execPath, join(PROJECT, "dist/sample.js")];
  const what = ["--root", root, "--fields", String(fields), "--years", String(YEAR), "--seed", String(SEED)];
  const { stdout } = await measure([...program, ...what, `--${layout}`, "--unzipped", "--json", "--quiet"], ctx.signal);
  const made = JSON.parse(stdout) as SampleResult;
  writeFileSync(note, JSON.stringify({ ...made, generator }));
  return worldOf(made, layout, name);
}

function worldOf({ fields, files, raster }: SampleResult, layout: Layout, name: WorldName): World {
  const rasterPath = files.cdl[YEAR] as string;
  return {
    name,
    layout,
    fields,
    fieldsPath: files.raw,
    rasterPath,
    width: raster.width,
    height: raster.height,
    block: raster.block,
    mpx: (raster.width * raster.height) / 1e6,
    fieldsBytes: statSync(files.raw).size,
    rasterBytes: statSync(rasterPath).size,
  };
}

/** SHA-256 over the programs that make a world. */
function generatorDigest(): string {
  const hash = createHash("sha256");
  const folder = join(PROJECT, "dist/sample");
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith(".js"))
    .sort())
    hash.update(readFileSync(join(folder, name)));
  return hash.digest("hex");
}
