/** The hardware metrics that a run has. */
import { query } from "../api/transport";
import { type Kind, kinds, SYSTEM } from "./kinds";

const MOST_NAMES = 5000;

export async function listKinds(runId: string, abort: AbortSignal): Promise<Kind[]> {
  const reply = await query.listMetrics(
    { runIds: [runId], prefix: SYSTEM, namesOnly: true, limit: MOST_NAMES },
    { signal: abort },
  );
  return kinds(reply.metrics.map((metric) => metric.name));
}
