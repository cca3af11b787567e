// A viewer's server in this process, over a folder or a URL.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveOptions } from "../../dist/config/config.js";
import { FieldFinder } from "../../dist/view/server/field-finder.js";
import { FieldHistory } from "../../dist/view/server/field-history.js";
import { openStore } from "../../dist/view/server/open-store.js";
import { Publication } from "../../dist/view/server/publication.js";
import { startViewer } from "../../dist/view/server/viewer-server.js";
import { writeFields } from "./field-tiles.mjs";
import { makeContext } from "./published-year.mjs";

/** Start one on a free port; `t` ends it. With `root`, the fields under it can be asked for. Resolves to {url, port, lines, get(path, headers)}. */
export async function startTestViewer(t, target, { host = "127.0.0.1", history, root } = {}) {
  const context = makeContext();
  const { log, lines } = context;
  const options = resolveOptions({ target, ...(root && { root }) });
  const { store, histories } = openStore(options, history);
  const fieldHistory = new FieldHistory(histories, store, "us", log);
  const finder = root && new FieldFinder(options, fieldHistory, context);
  const publication = new Publication(store, "us", log);
  const viewer = await startViewer({
    publication,
    history: fieldHistory,
    finder,
    log,
    host,
    port: 0,
  });
  t.after(async () => {
    await viewer.close();
    await finder?.close();
  });
  const { port } = viewer.server.address();
  const get = (path, headers = {}) => fetch(`http://127.0.0.1:${port}/${path}`, { headers });
  const years = async () => (await get("api/years")).json();
  return { ...viewer, port, lines, get, years };
}

export function archiveName(year) {
  return `fields_us_${year}_full.pmtiles`;
}

/** A folder as `publish` leaves it: small archives of these years, and a manifest that names them. */
export function publishFields(folder, years, options = {}) {
  mkdirSync(folder, { recursive: true });
  for (const year of years) writeFields(join(folder, archiveName(year)), options);
  writeManifest(folder, Object.fromEntries(years.map((year) => [year, {}])));
}

/** A manifest whose archives are as `entries` says, by year; url and key are the usual ones where it does not. */
export function writeManifest(folder, entries, more = {}) {
  const archives = Object.fromEntries(
    Object.entries(entries).map(([year, entry]) => [
      year,
      { url: archiveName(year), key: archiveName(year), ...entry },
    ]),
  );
  const manifest = {
    version: 1,
    generator: "test",
    region: "us",
    years: Object.keys(archives).map(Number),
    archives,
    ...more,
  };
  writeFileSync(join(folder, "us_full_years.json"), JSON.stringify(manifest));
}
