import { once } from "node:events";
import { wholeNumber } from "../../cli/whole-number.js";
import type { Options } from "../../config/options.js";
import type { Context } from "../../pipeline/context.js";
import { FieldFinder } from "./field-finder.js";
import { FieldHistory } from "./field-history.js";
import { openStore } from "./open-store.js";
import { Publication } from "./publication.js";
import { startViewer } from "./viewer-server.js";

export const PORT = 8080;

export interface MapAddress {
  /** Folder of the history, if it is not next to the target. */
  readonly history?: string | undefined;
  /** Address to listen on; only this machine by default. */
  readonly host?: string | undefined;
  /** 8080 by default, 0 for any free one. */
  readonly port?: number | undefined;
}

/**
 * Serve the map of a root's published years until a signal. The page's URL goes to stdout once the server answers.
 *
 * @throws {PipelineError} usage, if the address or port is not available, or the target cannot be read.
 */
export async function serveMap(options: Options, address: MapAddress, ctx: Context): Promise<void> {
  const { log } = ctx;
  const { store, histories } = openStore(served(options), address.history);
  const publication = new Publication(store, options.region, log);
  const history = new FieldHistory(histories, store, options.region, log);
  const [{ years }, historyTag] = await Promise.all([publication.look(), history.tag()]);
  const { host = "127.0.0.1", port = PORT } = address;
  const finder = new FieldFinder(options, history, ctx);
  const viewer = await startViewer({ publication, history, finder, log, host, port });
  const published = years.flatMap((year) => ("archive" in year ? [year.year] : []));
  log.info(`serving ${store.name}`, { years: published.join(" ") || "none yet", history: historyTag !== null });
  if (years.length === 0)
    log.warn(`there is no ${publication.manifestKey} yet: the page shows years once they are published`);
  if (historyTag === null) log.info("no history found: areas and shares are shown once node dist/history.js was run");
  process.stdout.write(options.json ? `${JSON.stringify({ url: viewer.url, years: published })}\n` : `${viewer.url}\n`);
  if (!ctx.signal.aborted) await once(ctx.signal, "abort");
  await viewer.close();
  await finder.close();
  log.info("stopped");
}

/** For a root that publishes to S3, the URL under which its target is served. */
function served(options: Options): Options {
  const { target, publicUrl } = options;
  return target?.startsWith("s3://") && publicUrl !== undefined
    ? { ...options, target: `${publicUrl.replace(/\/*$/, "")}/` }
    : options;
}

/** @throws {PipelineError} usage, if it is not a port. */
export function readPort(text: string | undefined): number {
  return wholeNumber("--port", text, 0, 65_535) ?? PORT;
}
