import { type Audit, auditTiles, newAudit } from "../archive/audit.js";
import type { AuditTask } from "../archive/tasks.js";
import { BaseTiles } from "./base-tiles.js";

/** The same as auditRange, of precompressed tiles. */
export function auditBaseRange({ path, plan, from, to }: AuditTask): Audit {
  const tiles = new BaseTiles(path, plan.rows ?? 0);
  try {
    const audit = newAudit(plan);
    auditTiles(audit, tiles, plan, from, to);
    return audit;
  } finally {
    tiles.close();
  }
}
auditBaseRange.module = import.meta.url;
