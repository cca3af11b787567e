import { once } from "node:events";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import type { Options } from "./config/options.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

const PORT = 8080;

/** Serve the map until a signal comes. The page's URL goes to stdout, once it answers. */
async function serve({ options, own, positionals }: Arguments, ctx: Context): Promise<void> {
  if (positionals.length > 0)
    throw new PipelineError("usage", "No argument is expected", { received: positionals.join(" ") });
  const text = (name: string) => own[name] as string | undefined;
  const { log } = ctx;
  const { FieldHistory } = await import("./view/server/field-history.js");
  const { openStore } = await import("./view/server/open-store.js");
  const { Publication } = await import("./view/server/publication.js");
  const { startViewer } = await import("./view/server/viewer-server.js");
  const { store, histories } = openStore(served(options), text("history"));
  const publication = new Publication(store, options.region, log);
  const history = new FieldHistory(histories, store, options.region, log);
  const [{ years }, historyTag] = await Promise.all([publication.look(), history.tag()]);
  const viewer = await startViewer({
    publication,
    history,
    log,
    host: text("host") ?? "127.0.0.1",
    port: readPort(text("port")),
  });
  const published = years.flatMap((year) => ("archive" in year ? [year.year] : []));
  log.info(`serving ${store.name}`, { years: published.join(" ") || "none yet", history: historyTag !== null });
  if (years.length === 0)
    log.warn(`there is no ${publication.manifestKey} yet: the page shows years once they are published`);
  if (historyTag === null)
    log.info("no history beside it: areas and confidence are shown once node dist/history.js was run");
  process.stdout.write(options.json ? `${JSON.stringify({ url: viewer.url, years: published })}\n` : `${viewer.url}\n`);
  if (!ctx.signal.aborted) await once(ctx.signal, "abort");
  await viewer.close();
  log.info("stopped");
}

/** A root that publishes to S3 is seen by the URL under which its target is served. */
function served(options: Options): Options {
  const { target, publicUrl } = options;
  return target?.startsWith("s3://") && publicUrl !== undefined
    ? { ...options, target: `${publicUrl.replace(/\/*$/, "")}/` }
    : options;
}

function readPort(text: string | undefined): number {
  if (text === undefined) return PORT;
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new PipelineError("usage", "--port must be a whole number from 0 to 65535", { received: text });
}

await main(
  {
    name: "node dist/serve.js",
    summary: "Look at what was published: a map in the browser. Works offline. Ctrl-C to stop.",
    rootOptions: "use",
    options: ["root", "region", "target", "proxy", "json", "quiet"],
    own: {
      host: { type: "string", help: "address to listen on; 0.0.0.0 lets the whole network in [127.0.0.1]" },
      port: { type: "string", help: `port to listen on; 0 for any free one [${PORT}]` },
      history: { type: "string", help: "folder of node dist/history.js [beside the target]" },
    },
    examples: [
      "node dist/serve.js --root work/demo",
      "node dist/serve.js --target file:work/demo/outputs/web --port 0",
    ],
  },
  serve,
);
