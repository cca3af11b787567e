import { statfs } from "node:fs/promises";

/** statfs type numbers, from linux/magic.h and the vendors' own headers. */
const NETWORK_TYPES: Readonly<Record<number, string>> = {
  198183888: "Lustre",
  26985: "NFS",
  1196443219: "GPFS",
  428016422: "BeeGFS",
  4283649346: "CIFS",
  4266872130: "SMB2",
  20859: "SMB",
  1702057286: "FUSE",
  1397113167: "AFS",
  12805120: "Ceph",
  2866260714: "PanFS",
  537068840: "OrangeFS",
  16914839: "9P",
  79457: "Lustre (old)",
  18225520: "GFS2",
  1952539503: "OCFS2",
};
const LOCAL_TYPES: Readonly<Record<number, string>> = {
  16914836: "tmpfs",
  2240043254: "ramfs",
  61267: "ext4",
  1481003842: "xfs",
  2435016766: "btrfs",
  801189825: "zfs",
  2035054128: "overlayfs",
  4076150800: "f2fs",
};

export interface FileSystem {
  /** `Lustre`, `ext4`, or the type number in hex. */
  readonly name: string;
  /** Reached over a network, or by a user-space server: slow for many small mapped files. */
  readonly network: boolean;
  /** Files lie in memory. */
  readonly memory: boolean;
  readonly freeBytes: number;
}

/** @throws when `path` does not exist. */
export async function fileSystemOf(path: string): Promise<FileSystem> {
  const { type, bavail, bsize } = await statfs(path);
  return { ...fileSystemType(type), freeBytes: bavail * bsize };
}

/** What statfs's type number stands for; an unknown one counts as a local disk. */
export function fileSystemType(type: number): Omit<FileSystem, "freeBytes"> {
  // Node hands out a signed number where the platform's is.
  const unsigned = type >>> 0;
  const network = NETWORK_TYPES[unsigned];
  const local = LOCAL_TYPES[unsigned];
  return {
    name: network ?? local ?? `0x${unsigned.toString(16)}`,
    network: network !== undefined,
    memory: local === "tmpfs" || local === "ramfs",
  };
}
