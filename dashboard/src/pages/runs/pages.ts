/** A list of runs of any length, of which only what is looked at is fetched, a page at a time. */
import { signal } from "@preact/signals";
import { failed } from "../../api/connection";
import { isAbort, type Problem } from "../../api/problem";
import { listRuns, type RunPage, type RunQuery, type RunRow } from "../../state/run";

export const PAGE = 100;
const KEPT_PAGES = 40;

export class RunPages {
  /** Runs on all pages; undefined before the first answer. */
  readonly total = signal<number | undefined>(undefined);
  readonly problem = signal<Problem | undefined>(undefined);
  /** Rises whenever rows came in. */
  readonly version = signal(0);
  private readonly pages = new Map<number, RunRow[]>();
  private readonly pending = new Set<number>();
  private readonly abort = new AbortController();
  private range: [number, number] = [0, 1];

  constructor(
    private readonly query: RunQuery,
    private readonly list: (
      query: RunQuery,
      limit: number,
      offset: number,
      abort: AbortSignal,
    ) => Promise<RunPage> = listRuns,
  ) {}

  row(index: number): RunRow | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** The first rows, as far as they are there. */
  first(most: number): RunRow[] {
    const found: RunRow[] = [];
    for (let index = 0; index < most; index++) {
      const row = this.row(index);
      if (!row) break;
      found.push(row);
    }
    return found;
  }

  /** Fetches what is missing of the rows from FIRST to END. */
  want(first: number, end: number): void {
    this.range = [first, end];
    for (const page of this.visible()) if (!this.pages.has(page)) void this.load(page);
  }

  /** Fetches again what is looked at. */
  renew(): void {
    const visible = this.visible();
    for (const page of this.pages.keys()) if (!visible.includes(page)) this.pages.delete(page);
    for (const page of visible) void this.load(page);
  }

  close(): void {
    this.abort.abort();
  }

  private visible(): number[] {
    const [first, end] = this.range;
    const last = Math.max(Math.floor(first / PAGE), Math.floor((end - 1) / PAGE));
    const found: number[] = [];
    for (let page = Math.floor(first / PAGE); page <= last; page++) found.push(page);
    return found;
  }

  private async load(page: number): Promise<void> {
    if (this.pending.has(page)) return;
    this.pending.add(page);
    try {
      const reply = await this.list(this.query, PAGE, page * PAGE, this.abort.signal);
      if (this.abort.signal.aborted) return;
      this.pages.set(page, reply.rows);
      this.total.value = reply.total;
      this.problem.value = undefined;
      this.version.value += 1;
      this.forget();
    } catch (error) {
      if (isAbort(error) || this.abort.signal.aborted) return;
      const problem = failed(error);
      // What is there stays on the screen while the service is away.
      if (problem.kind !== "offline" || !this.pages.size) this.problem.value = problem;
    } finally {
      this.pending.delete(page);
    }
  }

  /** Drops what was not looked at for longest. */
  private forget(): void {
    const visible = this.visible();
    for (const page of this.pages.keys()) {
      if (this.pages.size <= KEPT_PAGES) return;
      if (!visible.includes(page)) this.pages.delete(page);
    }
  }
}
