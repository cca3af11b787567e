import { readlink, symlink, unlink } from "node:fs/promises";
import { asPipelineError } from "../pipeline/errors.js";

/** Who works on an item, and on which version of it. */
export interface Claim {
  readonly runner: string;
  readonly digest: string;
  /** Random; tells this claim from every other, also of the same runner. */
  readonly nonce: string;
}

/**
 * Claim an item. A claim is a symbolic link that points nowhere: made by one exclusive
 * operation of the file system (also on Lustre, BeeGFS and NFS), it carries its owner from
 * the first moment, so there is no claim without one, and it takes no block of storage.
 *
 * @returns false when another has it.
 */
export async function claim(path: string, own: Claim): Promise<boolean> {
  try {
    await symlink(claimText(own), path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw asPipelineError(error, "failed", "Item cannot be claimed", { claim: path });
    }
    // The answer to a request that was sent twice may be about our own first one.
    return owns(path, own);
  }
}

/** Whether the claim stands as it was made. */
export async function owns(path: string, own: Claim): Promise<boolean> {
  return (await readText(path)) === claimText(own);
}

/** Give a claim back; one that is not ours is left. */
export async function release(path: string, own: Claim): Promise<void> {
  if (await owns(path, own)) await unlink(path);
}

/** The claim that stands at `path`, if any. */
export async function readClaim(path: string): Promise<Claim | undefined> {
  const [runner, digest, nonce] = (await readText(path))?.split(" ") ?? [];
  return runner && digest && nonce ? { runner, digest, nonce } : undefined;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function claimText({ runner, digest, nonce }: Claim): string {
  return `${runner} ${digest} ${nonce}`;
}
