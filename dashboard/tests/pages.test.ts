import { beforeAll, expect, it, vi } from "vitest";
import type { RunPage, RunQuery } from "../src/state/run";

/** The modules read the address of a window. */
let pages: typeof import("../src/pages/runs/pages");
let run: typeof import("../src/state/run");

beforeAll(async () => {
  vi.stubGlobal("window", { addEventListener: () => {}, location: { origin: "http://x" } });
  vi.stubGlobal("location", { pathname: "/", search: "" });
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("localStorage", { getItem: () => null });
  run = await import("../src/state/run");
  pages = await import("../src/pages/runs/pages");
});

const QUERY: RunQuery = { project: "p", filter: "", sort: [], columns: [] };

/** A list of 1,000 runs that are named ROUND and their place. */
const listing = (round: string) => async (_: RunQuery, limit: number, offset: number) => ({
  rows: Array.from({ length: limit }, (_, row) => run.provisional(`${round} ${offset + row}`)),
  total: 1000,
});
const never = () => new Promise<RunPage>(() => {});

async function loaded(list: InstanceType<typeof pages.RunPages>, first: number): Promise<void> {
  list.want(first, first + 1);
  await vi.waitFor(() => expect(list.row(first)).toBeDefined());
}

it("rows of other columns are shown until the own ones are there", async () => {
  const old = new pages.RunPages(QUERY, undefined, listing("old"));
  await loaded(old, 0);
  const news = new pages.RunPages(QUERY, old.latest(), listing("new"));
  expect(news.row(0)?.id).toBe("old 0");
  news.want(0, 1);
  await vi.waitFor(() => expect(news.row(0)?.id).toBe("new 0"));
});

it("what was dropped does not turn into the older rows before it", async () => {
  const old = new pages.RunPages(QUERY, undefined, listing("old"));
  await loaded(old, 0);
  const news = new pages.RunPages(QUERY, old.latest(), listing("new"));
  news.want(0, 1);
  await vi.waitFor(() => expect(news.row(0)?.id).toBe("new 0"));
  await loaded(news, 500);
  news.renew();
  expect(news.row(0)).toBeUndefined();
});

it("however often columns change, nothing is held but the last rows", async () => {
  const first = new pages.RunPages(QUERY, undefined, listing("first"));
  await loaded(first, 0);
  const second = new pages.RunPages(QUERY, first.latest(), listing("second"));
  await loaded(second, 500);
  const third = new pages.RunPages(QUERY, second.latest(), never);
  expect(second.latest()).toBe(second);
  expect(third.row(500)?.id).toBe("second 500");
  expect(third.row(0)).toBeUndefined();
  expect(third.latest()).toBe(second);
});
