import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { PipelineError } from "../pipeline/errors.js";

export const ISOLATIONS = ["process", "bwrap", "apptainer", "singularity"] as const;
export type IsolationName = (typeof ISOLATIONS)[number];

/** An item's own folders on the host. */
export interface ItemFolders {
  /** What it is to write; on the batch's file system. */
  readonly out: string;
  /** Its current folder and HOME; local, removed after it. */
  readonly work: string;
  /** /tmp to it. */
  readonly tmp: string;
}

/** A command ready to be started on the host. */
export interface HostCommand {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Isolation {
  readonly name: IsolationName;
  /** `{out}` as the item sees it. */
  out(folders: ItemFolders): string;
  /**
   * @param argv  as the item is to be run.
   * @param env  all that it finds in its environment, beside what the isolation itself sets.
   */
  command(argv: readonly string[], folders: ItemFolders, env: Readonly<Record<string, string>>): HostCommand;
  /** The file that appears in `work` once the item itself runs; undefined where a start cannot fail by itself. */
  readonly startMark?: string;
}

export interface IsolationOptions {
  readonly name: IsolationName;
  readonly image?: string | undefined;
  /** `SOURCE[:DEST[:ro]]`. */
  readonly binds: readonly string[];
  /** Variables of the runtime itself, on the host: PATH, HOME. */
  readonly hostEnv: Readonly<Record<string, string>>;
}

const START_MARK = ".started";
/** Says that the item itself has started, which no exit code of a container runtime tells, then becomes it. */
const STARTER = 'cd "$1" && : > "$1/$2" && shift 2 && exec "$@"';
const INSIDE = { out: "/batch/out", work: "/batch/work" } as const;

/**
 * @throws {PipelineError} usage, for an image that is missing or not needed, a bind that cannot be read;
 *   tool, when the runtime is not installed.
 */
export function openIsolation(options: IsolationOptions): Isolation {
  const { name, image } = options;
  const container = name === "apptainer" || name === "singularity";
  if (container !== (image !== undefined)) {
    throw new PipelineError("usage", container ? `--isolate=${name} needs --image` : "--image is for apptainer", {
      isolate: name,
      image,
    });
  }
  if (name === "process") {
    if (options.binds.length > 0)
      throw new PipelineError("usage", "--bind is for containers and bwrap", { isolate: name });
    return { name, out: ({ out }) => out, command: (argv, _, env) => ({ argv, env }) };
  }
  const program = runtime(name);
  if (name === "bwrap") return bubblewrap(program, options);
  if (!existsSync(image as string)) throw new PipelineError("usage", "No such image", { image });
  return apptainer(program, image as string, options);
}

/** The runtime's program. Apptainer and Singularity take the same arguments: either stands in for the other. */
function runtime(name: IsolationName): string {
  const names = {
    bwrap: ["bwrap"],
    apptainer: ["apptainer", "singularity"],
    singularity: ["singularity", "apptainer"],
  };
  const wanted = names[name as keyof typeof names];
  const found = wanted.map(findProgram).find((path) => path !== undefined);
  if (found === undefined) throw new PipelineError("tool", "Not installed", { program: wanted.join(" or ") });
  return found;
}

/** A program's path by PATH, or the path itself; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  if (name.includes("/")) return existsSync(name) ? name : undefined;
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/**
 * `exec --containall --cleanenv`: nothing of the host but the output, a working folder and
 * explicit binds. `--containall` gives HOME and /tmp 64 MiB of memory; here both lie in the
 * item's work folders.
 */
function apptainer(program: string, image: string, { name, binds, hostEnv }: IsolationOptions): Isolation {
  const prefix = program.endsWith("apptainer") ? "APPTAINERENV_" : "SINGULARITYENV_";
  return {
    name,
    startMark: START_MARK,
    out: () => INSIDE.out,
    command: (argv, { out, work, tmp }, env) => ({
      argv: [
        program,
        "exec",
        "--containall",
        "--cleanenv",
        "--home",
        bindPair(work, INSIDE.work),
        "--workdir",
        tmp,
        "--bind",
        bindPair(out, INSIDE.out),
        ...binds.flatMap((bind) => ["--bind", bind]),
        image,
        ...startedBy(argv, INSIDE.work),
      ],
      // Variables for inside are handed over one by one: --env would cut values at commas. HOME and PATH are the container's.
      env: {
        ...hostEnv,
        ...Object.fromEntries(
          Object.entries(env)
            .filter(([key]) => !["HOME", "PATH", "TMPDIR"].includes(key))
            .map(([key, value]) => [prefix + key, value]),
        ),
      },
    }),
  };
}

/** Namespaces of its own; the network is the host's. */
const BWRAP_OWN = ["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts"];

/** Bubblewrap, for machines without a container runtime: the host read-only, writable are only output and work. */
function bubblewrap(program: string, { name, binds, hostEnv }: IsolationOptions): Isolation {
  const bound = binds.flatMap((bind) => {
    const [source = "", dest = source, mode] = bind.split(":");
    return [mode === "ro" ? "--ro-bind" : "--bind", source, dest];
  });
  return {
    name,
    startMark: START_MARK,
    out: ({ out }) => out,
    command: (argv, { out, work, tmp }, env) => ({
      argv: [
        program,
        "--die-with-parent",
        ...BWRAP_OWN,
        ...flags(["--ro-bind", "/", "/"], ["--dev", "/dev"], ["--proc", "/proc"], ["--bind", tmp, "/tmp"]),
        ...flags(["--bind", out, out], ["--bind", work, work]),
        ...bound,
        "--clearenv",
        ...Object.entries(env).flatMap(([key, value]) => ["--setenv", key, key === "TMPDIR" ? "/tmp" : value]),
        "--",
        ...startedBy(argv, work),
      ],
      env: hostEnv,
    }),
  };
}

function flags(...groups: readonly (readonly string[])[]): string[] {
  return groups.flat();
}

function startedBy(argv: readonly string[], work: string): string[] {
  return ["/bin/sh", "-c", STARTER, "item", work, START_MARK, ...argv];
}

function bindPair(source: string, dest: string): string {
  if (!/[:,]/.test(source)) return `${source}:${dest}`;
  throw new PipelineError("usage", "A folder that is bound into a container must have no colon or comma in its path", {
    path: source,
  });
}
