// Names tests that were skipped for a reason that is not allowed, and makes the run fail.
import { ALLOWED_SKIPS } from "./allowed-skips.mjs";

export default async function* skipReporter(source) {
  for await (const { type, data } of source) {
    if (type !== "test:pass" || data.skip === undefined || data.skip === false) continue;
    const reason = typeof data.skip === "string" ? data.skip : "no reason given";
    if (ALLOWED_SKIPS.some((allowed) => allowed.reason.test(reason))) continue;
    process.exitCode = 1;
    yield `Skipped for a reason that is not in test/support/allowed-skips.mjs: ${data.name} (${data.file}): ${reason}\n`;
  }
}
