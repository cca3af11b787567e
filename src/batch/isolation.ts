import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { PipelineError } from "../pipeline/errors.js";

export const ISOLATIONS = ["process", "bwrap", "apptainer", "singularity"] as const;
export type IsolationName = (typeof ISOLATIONS)[number];

/** An item's own folders on the host. */
export interface ItemFolders {
  /** The output folder, on the batch's file system. */
  readonly out: string;
  /** Working folder and HOME; local, removed afterwards. */
  readonly work: string;
  /** Mounted as /tmp. */
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
   * @param argv  the item's command.
   * @param env  its environment, in addition to the variables that the isolation sets.
   */
  command(argv: readonly string[], folders: ItemFolders, env: Readonly<Record<string, string>>): HostCommand;
  /** File that appears in `work` once the item runs; undefined if there is no start that could fail. */
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
/** Creates the start mark, then becomes the item: a container runtime's exit code does not say whether the item started. */
const STARTER = 'cd "$1" && : > "$1/$2" && shift 2 && exec "$@"';
const INSIDE = { out: "/batch/out", work: "/batch/work" } as const;

/**
 * @throws {PipelineError} usage, for a missing or superfluous image, or an invalid bind;
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

/** The runtime's program. Apptainer and Singularity take the same arguments, so either will do. */
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

/** Path of a program, searched in PATH; undefined if it does not exist. */
export function findProgram(name: string): string | undefined {
  if (name.includes("/")) return existsSync(name) ? name : undefined;
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/**
 * `exec --containall --cleanenv`: the item sees only the output, a working folder, and
 * explicit binds. `--containall` would limit HOME and /tmp to 64 MiB of memory, so both are in the
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
      // Variables are passed one by one, because --env splits values at commas. HOME and PATH are the container's.
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

/** Separate namespaces, but the host's network. */
const BWRAP_OWN = ["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts"];

/** Bubblewrap, for machines without a container runtime: the host is read-only; only the output and work folders are writable. */
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
