// The long campaign of faults: npm run test:faults [-- --kills N --swaps N --stops N --together N --mutants N --seed N]
// Prints counts as JSON, lane by lane; ends with the first thing that is lost, wrong, left behind or unnamed.
import { parseArgs } from "node:util";
import { disk, kills, mutants, openGround, progress, stops, swaps, together } from "./lanes.mjs";
import { clocks, ranges, years } from "./load-lanes.mjs";

const number = (value) => ({ type: "string", default: String(value) });
const { values } = parseArgs({
  options: {
    kills: number(25),
    swaps: number(200),
    stops: number(50),
    together: number(8),
    mutants: number(17_000),
    // Faults a command; 0: no disk faults.
    disk: number(1_000_000),
    requests: number(10_000),
    years: number(50),
    clocks: number(10),
    seed: number(1),
    // Some commands alone: zonal,base
    only: { type: "string", default: "" },
  },
});
const { only, ...numbers } = values;
const count = Object.fromEntries(Object.entries(numbers).map(([name, text]) => [name, Number(text)]));
const names = only.split(",").filter(Boolean);
const ground = await openGround();
// Ended by a time limit: what was done until then counts.
process.once("SIGTERM", () => {
  console.log(JSON.stringify({ until: "SIGTERM", ...progress }));
  ground.close();
  process.exit(0);
});
try {
  const lanes = {
    kills: () => kills(ground, count.kills, count.seed, names),
    swaps: () => swaps(ground, count.swaps, count.seed + 1, names),
    stops: () => stops(ground.world.folder, count.stops),
    together: () => together(ground, count.together, ...(names.length > 0 ? [names] : [])),
    requests: () => ranges(ground, count.requests),
    years: () => years(ground, count.years),
    clocks: () => clocks(ground, count.clocks),
    disk: () => disk(ground, count.disk, count.seed + 3, names),
    mutants: () => mutants(ground, count.mutants, count.seed + 2),
  };
  for (const [name, lane] of Object.entries(lanes))
    if (count[name] > 0) console.log(JSON.stringify({ [name]: await lane() }));
} finally {
  ground.close();
}
