import { readlink, symlink, unlink } from "node:fs/promises";
import { asPipelineError } from "../pipeline/errors.js";

/** The owner of an item, and the item's version. */
export interface Claim {
  readonly runner: string;
  readonly digest: string;
  /** Random; distinguishes this claim from every other, even of the same runner. */
  readonly nonce: string;
}

/**
 * Claim an item. A claim is a dangling symbolic link: one exclusive operation of the file
 * system creates it (also on Lustre, BeeGFS and NFS) together with its owner, so no claim
 * is without an owner, and it takes no block of storage.
 *
 * @returns false if another runner has it.
 */
export async function claim(path: string, own: Claim): Promise<boolean> {
  try {
    await symlink(claimText(own), path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw asPipelineError(error, "failed", "Item cannot be claimed", { claim: path });
    }
    // If a request was sent twice, the answer may refer to our own first one.
    return owns(path, own);
  }
}

/** Whether the claim still exists unchanged. */
export async function owns(path: string, own: Claim): Promise<boolean> {
  return (await readText(path)) === claimText(own);
}

/** Release a claim, if it is ours. */
export async function release(path: string, own: Claim): Promise<void> {
  if (await owns(path, own)) await unlink(path);
}

/** The claim at `path`, if any. */
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
