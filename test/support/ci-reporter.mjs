// Names tests that were skipped for a reason that is not allowed, and makes the run fail. Lists the files that tests
// failed in, a line each, in the file that FAILED_FILES names.
import { appendFileSync } from "node:fs";
import { ALLOWED_SKIPS } from "./allowed-skips.mjs";

export default async function* ciReporter(source) {
  const failed = new Set();
  const fail = (file) => {
    if (failed.has(file)) return;
    failed.add(file);
    appendFileSync(process.env.FAILED_FILES, `${file}\n`);
  };
  for await (const { type, data } of source) {
    // A file that ends badly as a whole fails under its own name.
    if (type === "test:fail") fail(data.file ?? data.name);
    if (type !== "test:pass" || data.skip === undefined || data.skip === false) continue;
    const reason = typeof data.skip === "string" ? data.skip : "no reason given";
    if (ALLOWED_SKIPS.some((allowed) => allowed.reason.test(reason))) continue;
    process.exitCode = 1;
    fail(data.file);
    yield `Skipped for a reason that is not in test/support/allowed-skips.mjs: ${data.name} (${data.file}): ${reason}\n`;
  }
}
