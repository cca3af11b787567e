import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { PipelineError } from "./errors.js";

/**
 * Open a regular file for reading. Opening a pipe would wait for its writer, and no signal is answered meanwhile.
 *
 * @returns the file descriptor, the caller's to close.
 * @throws {PipelineError} input: a folder, a pipe, a device. The system's own error where it cannot be opened.
 */
export function openInput(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const file = fstatSync(fd);
  if (file.isFile()) return fd;
  closeSync(fd);
  throw new PipelineError("input", file.isDirectory() ? "Not a file but a folder" : "Not a regular file", { path });
}

/** The first `length` bytes of a regular file, or all of a shorter one. */
export function firstBytes(path: string, length: number): Buffer {
  const fd = openInput(path);
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(fd, buffer, 0, length, 0));
  } finally {
    closeSync(fd);
  }
}
