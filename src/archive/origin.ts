import type { Origin } from "../pipeline/output-origin.js";
import { GENERATOR } from "./metadata.js";
import { Archive } from "./reader.js";

/** Who made an archive, by the generator that its metadata name. */
export function archiveOrigin(path: string): Origin {
  let archive: Archive;
  try {
    archive = new Archive(path);
  } catch {
    return "unreadable";
  }
  try {
    return archive.metadata().generator === GENERATOR ? "ours" : "other";
  } catch {
    return "unreadable";
  } finally {
    archive.close();
  }
}
