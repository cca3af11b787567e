/**
 * Differences between clusters, as data. The figures are those that the sites publish;
 * sinfo and statfs on a node are authoritative, and a JSON file of the user
 * overrides any of them (profile-file.ts).
 *
 * Sources, read in 2026: documentation.sigma2.no, pages jobs/job_types/betzy_job_types
 * and saga_job_types, jobs/job_scripts/*, jobs/projects_accounting, jobs/memory-bandwidth,
 * files_storage/clusters, getting_help/faq, code_development/guides/containers.
 */

/** Whether sbatch may, must or must not be given --mem or --mem-per-cpu. */
export type MemoryRule = "forbidden" | "required" | "optional";

/** One way to run a job: a partition or quality of service with its limits. */
export interface JobType {
  /** `--partition`; if undefined, the cluster's default. */
  readonly partition?: string;
  /** `--qos`. */
  readonly qos?: string;
  /** Jobs get whole nodes, else cores and memory of shared ones. */
  readonly wholeNodes: boolean;
  readonly minNodes: number;
  readonly maxNodes: number;
  readonly maxWalltimeMinutes: number;
  readonly memory: MemoryRule;
  /** Physical cores of a node. */
  readonly cores: number;
  /** CPUs that the operating system shows, including hyperthreads. */
  readonly logicalCpus: number;
  /** Memory of a node that jobs may use. */
  readonly memoryGiB: number;
  readonly gpus: number;
  /** Billing units of a job: the largest of cores, GiB × this, and GPUs × that. */
  readonly unitsPerGiB?: number;
  readonly unitsPerGpu?: number;
  readonly maxUnitsPerJob?: number;
  /** Limit for all running jobs of one user. */
  readonly maxUnitsPerUser?: number;
  readonly maxJobsPerUser?: number;
  readonly maxNodesPerUser?: number;
}

export interface ClusterProfile {
  readonly name: string;
  readonly scheduler: "slurm" | "none";
  /** By name, for `--job-type`. */
  readonly jobTypes: Readonly<Record<string, JobType>>;
  /** Threads beyond this do not help on any of its nodes. */
  readonly maxThreads: number;
  /** Tasks of a job array. */
  readonly maxArrayTasks: number;
  /** File system of the work space. */
  readonly workFileSystem: string;
  /** Large, without backup and purged: data, outputs, checkpoints. `{user}` stands for the user's name. */
  readonly workSpace: string;
  /** Small and kept: only code and configuration. `{account}` stands for the account. */
  readonly projectSpace: string;
  readonly projectQuotaGiB: number;
  readonly projectQuotaFiles: number;
  /** Files of the work space that nobody wrote for this many days are removed; 0 for never. */
  readonly purgeDays: number;
  /** The same, when the work space is nearly full. */
  readonly purgeDaysWhenFull: number;
  /** Folder for temporary files on a node, and its size. */
  readonly scratch: string;
  readonly scratchGiB: number;
  /** The node's /tmp. */
  readonly tmpGiB: number;
  /** Disks in the nodes: how Slurm is asked for one, `localscratch` for `--gres=localscratch:20G`, and its size. */
  readonly localDiskGres?: string;
  readonly localDiskGiB: number;
  /** Container programs to look for, in this order. */
  readonly containerRuntimes: readonly string[];
}

const HOUR = 60;
const DAY = 24 * HOUR;

/** Nodes of Betzy: 2 × 64 cores in 8 NUMA domains, two threads each. */
const BETZY_NODE = { cores: 128, logicalCpus: 256, memoryGiB: 244, gpus: 0 } as const;

/**
 * The larger nodes, because they limit what a job can request: 200 of Saga's nodes have
 * 40 cores, 120 have 52. The pages do not say whether a core shows two threads.
 */
const SAGA_NODE = { cores: 52, logicalCpus: 52, memoryGiB: 178.5, gpus: 0 } as const;
const SAGA = { wholeNodes: false, minNodes: 1, memory: "required", maxUnitsPerJob: 256, unitsPerGiB: 0.2577 } as const;

const BETZY_PROFILE: ClusterProfile = {
  name: "betzy",
  scheduler: "slurm",
  jobTypes: {
    // sbatch rejects memory options here: whole nodes include all memory.
    normal: {
      ...BETZY_NODE,
      wholeNodes: true,
      minNodes: 4,
      maxNodes: 512,
      maxWalltimeMinutes: 4 * DAY,
      memory: "forbidden",
    },
    devel: {
      ...BETZY_NODE,
      qos: "devel",
      wholeNodes: true,
      minNodes: 1,
      maxNodes: 4,
      maxWalltimeMinutes: HOUR,
      memory: "forbidden",
      maxJobsPerUser: 1,
    },
    // The page of job types says --qos=preproc, the older one of job scripts --partition=preproc.
    preproc: {
      qos: "preproc",
      wholeNodes: false,
      minNodes: 1,
      maxNodes: 1,
      maxWalltimeMinutes: DAY,
      memory: "required",
      cores: 128,
      logicalCpus: 256,
      memoryGiB: 1024,
      gpus: 0,
      // 244 GiB are the whole 128 units, though the nodes have 1 TiB.
      unitsPerGiB: 0.5246,
      maxUnitsPerJob: 128,
      maxUnitsPerUser: 256,
      maxJobsPerUser: 16,
    },
    accel: {
      partition: "accel",
      wholeNodes: false,
      minNodes: 1,
      maxNodes: 3,
      maxWalltimeMinutes: 7 * DAY,
      memory: "required",
      cores: 64,
      logicalCpus: 128,
      memoryGiB: 494.5,
      gpus: 4,
      unitsPerGpu: 16,
      // One of four nodes.
      maxNodesPerUser: 3,
    },
  },
  maxThreads: 128,
  maxArrayTasks: 1000,
  workFileSystem: "lustre",
  workSpace: "/cluster/work/users/{user}",
  projectSpace: "/cluster/projects/{account}",
  projectQuotaGiB: 1024,
  projectQuotaFiles: 1_000_000,
  purgeDays: 21,
  purgeDaysWhenFull: 17,
  // Not published, seen on the nodes: half of the memory. No disks; /tmp is a small tmpfs.
  scratch: "/dev/shm",
  scratchGiB: 126,
  tmpGiB: 1.5,
  localDiskGiB: 0,
  containerRuntimes: ["apptainer", "singularity"],
};

const SAGA_PROFILE: ClusterProfile = {
  name: "saga",
  scheduler: "slurm",
  jobTypes: {
    normal: { ...SAGA_NODE, ...SAGA, maxNodes: 6, maxWalltimeMinutes: 7 * DAY },
    bigmem: {
      ...SAGA,
      partition: "bigmem",
      maxNodes: 6,
      maxWalltimeMinutes: 14 * DAY,
      cores: 64,
      logicalCpus: 64,
      memoryGiB: 3021,
      gpus: 0,
    },
    // Requeued when another job needs the node: TERM, and KILL 30 s later.
    optimist: { ...SAGA_NODE, ...SAGA, qos: "optimist", maxNodes: 6, maxWalltimeMinutes: 7 * DAY },
    devel: {
      ...SAGA_NODE,
      ...SAGA,
      qos: "devel",
      maxNodes: 3,
      maxWalltimeMinutes: 2 * HOUR,
      maxUnitsPerJob: 128,
      maxUnitsPerUser: 256,
      maxJobsPerUser: 2,
    },
    accel: {
      ...SAGA,
      partition: "accel",
      maxNodes: 7,
      maxWalltimeMinutes: 14 * DAY,
      cores: 24,
      logicalCpus: 24,
      memoryGiB: 364,
      gpus: 4,
      maxNodesPerUser: 7,
    },
    a100: {
      ...SAGA,
      partition: "a100",
      maxNodes: 7,
      maxWalltimeMinutes: 14 * DAY,
      cores: 32,
      logicalCpus: 32,
      memoryGiB: 1000,
      gpus: 4,
      maxNodesPerUser: 7,
    },
  },
  maxThreads: 128,
  maxArrayTasks: 1000,
  workFileSystem: "beegfs",
  workSpace: "/cluster/work/users/{user}",
  projectSpace: "/cluster/projects/{account}",
  projectQuotaGiB: 1024,
  projectQuotaFiles: 1_000_000,
  purgeDays: 21,
  purgeDaysWhenFull: 17,
  scratch: "/dev/shm",
  // Not published: half of the node's memory, as Linux makes it.
  scratchGiB: 89,
  tmpGiB: 17,
  localDiskGres: "localscratch",
  localDiskGiB: 330,
  containerRuntimes: ["apptainer", "singularity"],
};

/** A single machine of the user, without accounts or limits. */
const LAPTOP_PROFILE: ClusterProfile = {
  name: "laptop",
  scheduler: "none",
  jobTypes: {},
  maxThreads: 128,
  maxArrayTasks: 0,
  workFileSystem: "local",
  workSpace: "./work",
  projectSpace: ".",
  projectQuotaGiB: 0,
  projectQuotaFiles: 0,
  purgeDays: 0,
  purgeDaysWhenFull: 0,
  scratch: "/dev/shm",
  scratchGiB: 0,
  tmpGiB: 0,
  localDiskGiB: 0,
  containerRuntimes: ["apptainer", "docker", "podman"],
};

/** Built-in profiles, by name. */
export const PROFILES: Readonly<Record<string, ClusterProfile>> = {
  betzy: BETZY_PROFILE,
  saga: SAGA_PROFILE,
  laptop: LAPTOP_PROFILE,
};
