/** The names of metrics that a page can draw: sections by prefix, searched by text, glob or regular expression. */
import { query } from "../api/transport";
import type { Metric } from "../gen/stepline/v1/query_pb";
import { SYSTEM } from "../system/kinds";
import { readSearch } from "./search";

export interface Section {
  /** With its "/" at the end; empty for names without a prefix. */
  prefix: string;
  count: number;
}

export interface Names {
  sections: Section[];
  /** Names without a "/", which belong to no section of their own. */
  loose: string[];
  /** The first names of all, in order: enough for what is seen first. */
  first: Metric[];
}

/** What the address calls the sections of pinned metrics and of metrics without a prefix. */
export const PINNED = "*";
export const LOOSE = "/";

/** So many names come with the sections. */
const FIRST = 200;

export async function listSections(
  runIds: readonly string[],
  search: string,
  abort: AbortSignal,
): Promise<Names> {
  const reply = await query.listMetrics(
    { ...base(runIds, search), grouped: true, limit: FIRST },
    { signal: abort },
  );
  const sections = reply.groups.filter((group) => group.prefix.endsWith("/") && group.prefix !== SYSTEM);
  return {
    sections: sections.map((group) => ({ prefix: group.prefix, count: Number(group.count) })),
    loose: reply.groups.filter((group) => !group.prefix.endsWith("/")).map((group) => group.prefix),
    first: reply.metrics,
  };
}

/** The first names of a section, as many as WANTED or all of it, where they are known already. */
export function known(names: Names, section: Section, wanted: number): Metric[] | undefined {
  const mine = names.first.filter((metric) => metric.name.startsWith(section.prefix));
  return mine.length >= Math.min(wanted, section.count) ? mine.slice(0, wanted) : undefined;
}

/** The first MOST metrics that a page of NAMES shows: pinned ones, then section by section but for those that are CLOSED. */
export function foremost(
  names: Names,
  pins: readonly string[],
  closed: readonly string[],
  most: number,
): string[] {
  const open = names.sections.filter(({ prefix }) => !closed.includes(prefix));
  const found = new Set([
    ...(closed.includes(PINNED) ? [] : pins),
    ...(closed.includes(LOOSE) ? [] : names.loose),
  ]);
  for (const { prefix } of open) {
    if (found.size >= most) break;
    for (const { name } of names.first) if (name.startsWith(prefix)) found.add(name);
  }
  return [...found].slice(0, most);
}

export async function listNames(
  runIds: readonly string[],
  prefix: string,
  search: string,
  limit: number,
  offset: number,
  abort: AbortSignal,
): Promise<Metric[]> {
  const request = { ...base(runIds, search), prefix, limit, offset };
  const reply = await query.listMetrics(request, { signal: abort });
  return reply.metrics;
}

function base(runIds: readonly string[], search: string) {
  // Who looks for a metric finds it, also where define_metric() hides it.
  return { runIds: [...runIds], namesOnly: true, hidden: search !== "", ...readSearch(search) };
}
