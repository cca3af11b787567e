/** One line of the doctor's: a fact, whether it will do, and what to do where it will not. */
export interface Finding {
  /** What was looked at: `node`, `/dev/shm`. */
  readonly name: string;
  readonly level: "ok" | "warn" | "fail";
  readonly fact: string;
  readonly remedy?: string;
}

/** A part of the examination. What it throws becomes its finding. */
export interface Check {
  readonly name: string;
  run(): Promise<readonly Finding[]>;
}

export function ok(name: string, fact: string): Finding {
  return { name, level: "ok", fact };
}

export function warn(name: string, fact: string, remedy: string): Finding {
  return { name, level: "warn", fact, remedy };
}

export function fail(name: string, fact: string, remedy: string): Finding {
  return { name, level: "fail", fact, remedy };
}

/** A finding by whether `good` holds; `level` otherwise. */
export function judge(good: boolean, name: string, fact: string, remedy: string, level: "warn" | "fail"): Finding {
  return good ? ok(name, fact) : { name, level, fact, remedy };
}

/** All findings in order; one check that breaks hides no other. */
export async function examine(checks: readonly Check[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) {
    try {
      findings.push(...(await check.run()));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      findings.push(fail(check.name, reason.split("\n", 1)[0] ?? "", "change what the message names"));
    }
  }
  return findings;
}

const MARK = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;

export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, level, fact, remedy }) => [
    `${MARK[level]}  ${name.padEnd(width)}  ${fact}`,
    ...(remedy === undefined ? [] : [`${" ".repeat(width + 8)}-> ${remedy}`]),
  ]);
  const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length;
  return `${lines.join("\n")}\n\n${count("fail")} fail, ${count("warn")} warn, ${count("ok")} ok\n`;
}
