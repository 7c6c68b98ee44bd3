/** How charts are shown, read from the address and written to it. */
import { computed } from "@preact/signals";
import type { Range } from "../charts/scale";
import { address, change } from "./address";

export type Ranks = "band" | "all" | "worst" | number;
export type Bands = "minmax" | "quantiles" | "off";

export interface Options {
  /** "step", "time", "relative", "metric:" and a name; empty for what was defined of each metric, else "step". */
  x: string;
  logX: boolean;
  logY: boolean;
  /** What an exponential average keeps of the past, from 0 (off) to below 1. */
  smooth: number;
  ranks: Ranks;
  /** Runs in one line by what they have in common; empty for a line each. */
  groupBy: string;
  bands: Bands;
  clip: boolean;
  zoom: Range | undefined;
  /** The axis that `zoom` is a range of; panels over another one show all. */
  zoomX: string;
}

const SMOOTHEST = 0.995;

export function readOptions(query: Readonly<Record<string, string>>): Options {
  return {
    x: query.x ?? "",
    logX: query.logx === "1",
    logY: query.log === "1",
    smooth: Math.min(SMOOTHEST, Math.max(0, Number(query.smooth ?? 0) || 0)),
    ranks: readRanks(query.ranks),
    groupBy: query.by ?? "",
    bands: query.bands === "off" || query.bands === "quantiles" ? query.bands : "minmax",
    clip: query.clip === "1",
    zoom: readRange(query.zoom),
    zoomX: query.x || query.over || "step",
  };
}

export const options = computed(() => readOptions(address.value.query));

export function setOptions(changes: Partial<Options>): void {
  const texts: Record<string, string | undefined> = {};
  if (changes.x !== undefined) {
    texts.x = changes.x;
    texts.zoom = texts.over = undefined;
  }
  if (changes.logX !== undefined) texts.logx = changes.logX ? "1" : undefined;
  if (changes.logY !== undefined) texts.log = changes.logY ? "1" : undefined;
  if (changes.smooth !== undefined) texts.smooth = changes.smooth ? String(changes.smooth) : undefined;
  if (changes.ranks !== undefined) texts.ranks = changes.ranks === "band" ? undefined : String(changes.ranks);
  if (changes.groupBy !== undefined) texts.by = changes.groupBy;
  if (changes.bands !== undefined) texts.bands = changes.bands === "minmax" ? undefined : changes.bands;
  if (changes.clip !== undefined) texts.clip = changes.clip ? "1" : undefined;
  if ("zoom" in changes) {
    texts.zoom = changes.zoom && printRange(changes.zoom);
    const over = changes.zoomX ?? "step";
    texts.over = changes.zoom && over !== "step" && !options.peek().x ? over : undefined;
  }
  // A zoom is a place to come back from.
  change(texts, { push: "zoom" in changes });
}

function readRanks(text: string | undefined): Ranks {
  if (text === "all" || text === "worst") return text;
  const rank = Number(text);
  return text && Number.isInteger(rank) && rank >= 0 && rank < 2 ** 32 ? rank : "band";
}

export function readRange(text: string | undefined): Range | undefined {
  const parts = text?.split("..").map(Number);
  if (parts?.length !== 2) return undefined;
  const [lo, hi] = parts as [number, number];
  return Number.isFinite(lo) && Number.isFinite(hi) && lo < hi ? { lo, hi } : undefined;
}

export function printRange({ lo, hi }: Range): string {
  // Enough digits that the two ends stay apart.
  const digits = Math.min(
    17,
    Math.max(4, 3 + Math.ceil(Math.log10(Math.max(Math.abs(lo), Math.abs(hi)) / (hi - lo) + 1))),
  );
  return `${Number(lo.toPrecision(digits))}..${Number(hi.toPrecision(digits))}`;
}
