import { PipelineError } from "../pipeline/errors.js";

/**
 * A walltime as sbatch takes it: `90`, `90:00`, `1:30:00`, `4-0`, `4-00:00`, `4-00:00:00`.
 *
 * @returns minutes.
 * @throws {PipelineError} usage.
 */
export function walltimeMinutes(text: string): number {
  const match = /^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$/.exec(text.trim());
  if (match === null) {
    throw new PipelineError("usage", "Not a walltime", { received: text, expected: "4-00:00:00, 12:00:00 or minutes" });
  }
  const [days, ...parts] = [match[1], match[2], match[3], match[4]].map((part) =>
    part === undefined ? undefined : Number(part),
  );
  const [first = 0, second, third] = parts;
  // After days come hours; without them one or two numbers are minutes and seconds.
  if (days !== undefined) return days * 1440 + first * 60 + (second ?? 0) + (third ?? 0) / 60;
  if (third !== undefined) return first * 60 + (second ?? 0) + third / 60;
  return first + (second ?? 0) / 60;
}

/** Minutes as people read them: `4 d`, `12 h`, `1 d 6 h`, `90 min`. */
export function walltimeText(minutes: number): string {
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, Math.round(minutes % 60)];
  const parts = [days && `${days} d`, hours && `${hours} h`, rest && `${rest} min`].filter(Boolean);
  return parts.join(" ") || "0 min";
}

const SUFFIXES: Readonly<Record<string, number>> = { K: 2 ** -20, M: 2 ** -10, G: 1, T: 2 ** 10 };

/**
 * Memory as sbatch takes it: `1900M`, `170G`, a bare number of MiB.
 *
 * @returns GiB.
 * @throws {PipelineError} usage.
 */
export function memoryGiB(text: string): number {
  const match = /^(\d+)([KMGT]?)B?$/i.exec(text.trim());
  if (match === null) {
    throw new PipelineError("usage", "Not an amount of memory", { received: text, expected: "170G, 1900M or MiB" });
  }
  return Number(match[1]) * (SUFFIXES[(match[2] || "M").toUpperCase()] as number);
}
