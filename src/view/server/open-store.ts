import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { layoutOf, type Options } from "../../config/config.js";
import { historyFiles } from "../../history/format.js";
import { ProxyRules } from "../../network/proxy.js";
import { PipelineError } from "../../pipeline/errors.js";
import { type HistoryPlace, publishedLegend } from "./field-history.js";
import { FolderStore } from "./folder-store.js";
import type { Store } from "./store.js";
import { WebStore } from "./web-store.js";

export interface OpenedStore {
  readonly store: Store;
  /** Folders that may have a history of these years, in search order. */
  readonly histories: readonly HistoryPlace[];
}

/**
 * The store given by `--target`: a folder, or the URL under which the target is served.
 *
 * @param history  folder of the history, if the user gave one.
 * @throws {PipelineError} usage, if it is neither.
 */
export function openStore(options: Options, history: string | undefined): OpenedStore {
  const { target, region } = options;
  const named = history === undefined ? [] : [made(resolve(history), region)];
  // Any year works: the folders are the same.
  const layout = layoutOf(options, 2000);
  if (target === undefined) {
    const folder = dirname(layout.manifest);
    const histories = [...named, made(layout.history, region), published(folder, region)];
    return { store: new FolderStore(folder), histories };
  }
  if (/^https?:\/\//.test(target))
    return { store: new WebStore(baseOf(target), ProxyRules.of(options.proxy)), histories: named };
  if (target.startsWith("file:") && target !== "file:") {
    const folder = folderOf(target);
    const beside = made(join(folder, "..", "history", region), region);
    return { store: new FolderStore(folder), histories: [...named, published(folder, region), beside] };
  }
  throw wrongTarget(target);
}

/** Where `dist/history.js` writes it. */
function made(folder: string, region: string): HistoryPlace {
  const { history: table, legend } = historyFiles(folder, region);
  return { table, legend };
}

/** Where `dist/history.js --publish` puts it, next to the archives. */
function published(folder: string, region: string): HistoryPlace {
  return { table: join(folder, `${region}_history.parquet`), legend: join(folder, publishedLegend(region)) };
}

function folderOf(target: string): string {
  if (!target.startsWith("file://")) return resolve(target.slice("file:".length));
  try {
    return fileURLToPath(target);
  } catch {
    throw wrongTarget(target);
  }
}

function baseOf(target: string): URL {
  const url = URL.canParse(target) ? new URL(target) : undefined;
  // A password in the URL would appear in logs.
  if (url === undefined || url.username !== "" || url.password !== "") {
    throw new PipelineError("usage", "Option target must be a URL without user and password", {
      received: url === undefined ? target : `${url.protocol}//${url.host}`,
    });
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  url.search = "";
  url.hash = "";
  return url;
}

function wrongTarget(received: string): PipelineError {
  const expected = "file:folder, or the https:// URL under which the target is served";
  return new PipelineError("usage", "Option target cannot be looked at", { expected, received });
}
