import { readdirSync, readFileSync } from "node:fs";
import { describeThreads, measureOpenFiles, viewProcess } from "../system/process-view.js";

/** What a tippecanoe on this node is doing, as /proc tells. */
export interface TilerView {
  readonly pid: number;
  /** `8 S in futex, 1 D in cl_sync_io_wait` */
  readonly threads: string;
  readonly cpuSeconds: number;
  readonly openFiles: number;
  readonly tempDir: string;
  /** Bytes on disk of its files there; it removes their names at once, so that `du` sees none of them. */
  readonly tempBytes: number;
}

const TEMP_FLAG = "--temporary-directory=";

/** The tippecanoe processes on this node that write below a root, as far as this user may look at them. */
export async function tilersHere(root: string): Promise<TilerView[]> {
  const views: TilerView[] = [];
  for (const name of readdirSync("/proc")) {
    // By its arguments: started through a loader or a container it goes by another name.
    const words = /^\d+$/.test(name) ? (read(`/proc/${name}/cmdline`) ?? "").split("\0") : [];
    const tempDir = words.find((word) => word.startsWith(TEMP_FLAG))?.slice(TEMP_FLAG.length);
    if (tempDir === undefined || !words.some((word) => word.includes("tippecanoe"))) continue;
    if (!words.some((word) => word.includes(`${root}/`))) continue;
    const view = viewProcess(Number(name));
    if (view === undefined) continue;
    views.push({
      pid: Number(name),
      threads: describeThreads(view.threads),
      cpuSeconds: view.cpuSeconds,
      openFiles: view.openFiles.length,
      tempDir,
      tempBytes: (await measureOpenFiles(view, tempDir)).bytes,
    });
  }
  return views;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
