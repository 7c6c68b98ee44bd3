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
  /** The pages that were ever there: what stood in for them is older. */
  private readonly loaded = new Set<number>();
  private readonly pending = new Set<number>();
  private readonly abort = new AbortController();
  private range: [number, number] = [0, 1];

  /** BEFORE has the same runs with other columns: what is shown until these are there. */
  constructor(
    private readonly query: RunQuery,
    private before: RunPages | undefined = undefined,
    private readonly list: (
      query: RunQuery,
      limit: number,
      offset: number,
      abort: AbortSignal,
    ) => Promise<RunPage> = listRuns,
  ) {
    this.total.value = before?.total.peek();
  }

  row(index: number): RunRow | undefined {
    const page = Math.floor(index / PAGE);
    if (this.loaded.has(page)) return this.pages.get(page)?.[index % PAGE];
    const row = this.before?.row(index);
    return row && { ...row, values: [] };
  }

  /** The last one that has rows, without what stood in for it: no chain of them grows. */
  latest(): RunPages | undefined {
    if (!this.loaded.size) return this.before;
    this.before = undefined;
    return this;
  }

  /** Whether QUERY asks for the same runs, whatever it wants to know of them. */
  lists({ project, filter, sort }: RunQuery): boolean {
    const own = this.query;
    return own.project === project && own.filter === filter && own.sort.join() === sort.join();
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
      this.loaded.add(page);
      this.total.value = reply.total;
      this.problem.value = undefined;
      this.version.value += 1;
      this.forget();
    } catch (error) {
      if (isAbort(error) || this.abort.signal.aborted) return;
      const problem = failed(error);
      // What is there stays on the screen while the service is away.
      const shown = this.pages.size > 0 || this.row(0) !== undefined;
      if (problem.kind !== "offline" || !shown) this.problem.value = problem;
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
