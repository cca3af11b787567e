// The long campaign of faults: npm run test:faults [-- --LANE N ... --seed N --only COMMAND,COMMAND]
// Without a lane, all of them.
// Prints counts as JSON, lane by lane; ends with the first thing that is lost, wrong, left behind or unnamed.
import { parseArgs } from "node:util";
import { disk, kills, mixed, mutants, openGround, progress, sleepers, stops, swaps, together } from "./lanes.mjs";
import { clocks, ranges, years } from "./load-lanes.mjs";

/** Trials of each lane, where no lane is asked for by name. */
const LANES = {
  kills: 25, // a command
  swaps: 200,
  stops: 50,
  sleepers: 5, // a command
  together: 8,
  mixed: 5,
  requests: 10_000,
  years: 50,
  clocks: 10,
  disk: 1_000_000, // a command, at most
  mutants: 17_000, // a reader
};
const { values } = parseArgs({
  options: {
    ...Object.fromEntries(Object.keys(LANES).map((name) => [name, { type: "string" }])),
    seed: { type: "string", default: "1" },
    // Some commands alone: zonal,base
    only: { type: "string", default: "" },
  },
});
const { only, seed, ...asked } = values;
const wanted = Object.keys(asked).length > 0 ? asked : LANES;
const count = {
  seed: Number(seed),
  ...Object.fromEntries(Object.entries(wanted).map(([name, n]) => [name, Number(n)])),
};
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
    sleepers: () => sleepers(ground, count.sleepers, count.seed + 5, names),
    together: () => together(ground, count.together, ...(names.length > 0 ? [names] : [])),
    mixed: () => mixed(ground, count.mixed),
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
