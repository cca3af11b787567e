import { noise } from "./random.js";
import type { Section } from "./section.js";
import { ROAD_M, SECTION_M } from "./survey.js";
import { PIXEL_M } from "./world.js";

/** CDL codes of what is not a field. */
export const BACKGROUND = 0;
export const WATER = 111;
export const ROAD = 121;
const [OPEN, LOW, MEDIUM, HIGH] = [121, 122, 123, 124] as const;
const [TREES, SHRUBS, GRASS, WOODY_WETLAND, WETLAND] = [141, 152, 176, 190, 195] as const;

const PATCHES = 21;
const TOWN = 22;
const SHORE = 23;
const BLOCK_M = 120;

/** CDL code of the land itself, where no field lies. `u` and `v` in meters in the section, or a little outside. */
export function landAt(seed: number, section: Section, u: number, v: number): number {
  const x = section.sx * SECTION_M + u;
  const y = section.sy * SECTION_M + v;
  if (section.river) {
    const distance = Math.abs(v - section.river.line.at(u));
    if (distance < section.river.waterM) return WATER;
    if (distance < section.river.banksM) return noise(seed, x / 160, y / 160, SHORE) < 0.4 ? WOODY_WETLAND : TREES;
  }
  if (section.use === "town") return townAt(seed, u, v, x, y);
  if (section.use === "lake") return lakeAt(seed, u, v, x, y);
  if (u < ROAD_M || v < ROAD_M || u > SECTION_M - ROAD_M || v > SECTION_M - ROAD_M) return ROAD;
  for (const yard of section.yards) {
    if (yard.contains(u, v)) return Math.min(u - yard.u0, yard.u1 - u, v - yard.v0, yard.v1 - v) < 30 ? TREES : LOW;
  }
  return grassland(seed, x, y);
}

/** The same for traced fields, by pixels from the land's northwest. */
export function tracedLandAt(seed: number, x: number, y: number): number {
  return grassland(seed, x * PIXEL_M, y * PIXEL_M);
}

function grassland(seed: number, x: number, y: number): number {
  const trees = noise(seed, x / 230, y / 230, PATCHES);
  if (trees > 0.8) return TREES;
  return trees < 0.1 ? SHRUBS : GRASS;
}

/** Streets and blocks, thinner from the middle outwards. */
function townAt(seed: number, u: number, v: number, x: number, y: number): number {
  const out = Math.hypot(u / SECTION_M - 0.5, v / SECTION_M - 0.5) + 0.25 * (noise(seed, x / 300, y / 300, TOWN) - 0.5);
  if (out > 0.47) return grassland(seed, x, y);
  if (u % BLOCK_M < 18 || v % BLOCK_M < 18 || out > 0.4) return OPEN;
  return out < 0.11 ? HIGH : out < 0.21 ? MEDIUM : LOW;
}

function lakeAt(seed: number, u: number, v: number, x: number, y: number): number {
  const out =
    Math.hypot(u / SECTION_M - 0.5, (v / SECTION_M - 0.5) * 1.3) + 0.3 * (noise(seed, x / 350, y / 350, SHORE) - 0.5);
  if (out < 0.33) return WATER;
  return out < 0.37 ? WETLAND : grassland(seed, x, y);
}
