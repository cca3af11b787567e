import type { Random } from "./random.js";

/** CDL codes that a field goes through, a year each, and then again. */
export type Rotation = readonly number[];

const [CORN, COTTON, SORGHUM, SOYBEANS, SUNFLOWER, PEANUTS] = [1, 2, 4, 5, 6, 10] as const;
const [WHEAT, DOUBLE_CROP, ALFALFA, HAY, DRY_BEANS, POTATOES, FALLOW] = [24, 26, 36, 37, 42, 43, 61] as const;

const ROTATIONS = {
  cornSoy: [CORN, SOYBEANS],
  cornCornSoy: [CORN, CORN, SOYBEANS],
  corn: [CORN],
  cornDoubleCrop: [CORN, DOUBLE_CROP],
  wheat: [WHEAT],
  wheatFallow: [WHEAT, FALLOW],
  wheatSorghumFallow: [WHEAT, SORGHUM, FALLOW],
  wheatSunflowerFallow: [WHEAT, SUNFLOWER, FALLOW],
  cotton: [COTTON],
  cottonSorghum: [COTTON, SORGHUM],
  cottonPeanuts: [COTTON, COTTON, PEANUTS],
  alfalfa: [ALFALFA, ALFALFA, ALFALFA, ALFALFA, ALFALFA, CORN],
  hay: [HAY],
  potatoes: [POTATOES, CORN, DRY_BEANS, CORN],
} satisfies Record<string, Rotation>;

type Mix = Readonly<Partial<Record<keyof typeof ROTATIONS, number>>>;

/** How often each is grown: three farming regions, and under irrigation. */
const MIXES = {
  corn: { cornSoy: 50, cornCornSoy: 20, corn: 6, cornDoubleCrop: 8, wheat: 4, alfalfa: 6, hay: 6 },
  wheat: {
    wheatSorghumFallow: 32,
    wheatFallow: 18,
    wheat: 18,
    wheatSunflowerFallow: 8,
    cornSoy: 12,
    alfalfa: 5,
    hay: 7,
  },
  cotton: { cotton: 30, cottonSorghum: 22, cottonPeanuts: 10, wheatSorghumFallow: 18, wheat: 12, hay: 8 },
  irrigated: { corn: 34, cornSoy: 28, alfalfa: 22, potatoes: 10, wheat: 6 },
} satisfies Record<string, Mix>;

/** @param region  0 to 1, corn through wheat to cotton; near the limits both are grown. */
export function drawRotation(random: Random, region: number, irrigated: boolean): Rotation {
  const place = region + random.between(-0.08, 0.08);
  const mix = irrigated ? "irrigated" : place < 0.42 ? "corn" : place < 0.66 ? "wheat" : "cotton";
  return ROTATIONS[random.weighted<keyof typeof ROTATIONS>(MIXES[mix] as Record<keyof typeof ROTATIONS, number>)];
}

export function cropOf(rotation: Rotation, phase: number, year: number): number {
  return rotation[(year + phase) % rotation.length] as number;
}
