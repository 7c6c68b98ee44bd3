/**
 * The lines of all panels of a page. Panels say when they are seen; what is seen and not there yet is fetched in one request,
 * first coarse, then as fine as the screen. Lines stay on the screen until better ones are there.
 */
import { type Signal, signal } from "@preact/signals";
import { failed } from "../api/connection";
import { isAbort, type Problem } from "../api/problem";
import { query } from "../api/transport";
import { axisKind, decode, type Line } from "./line";
import { chartRequest, type Shape } from "./request";
import type { Range } from "./scale";
import { stepsWithin } from "./zoom";

export interface PanelData {
  lines: readonly Line[];
  /** How fine the lines are; "none" before the first answer. */
  resolution: "none" | "coarse" | "full";
  problem: Problem | undefined;
}

interface Panel {
  data: Signal<PanelData>;
  seen: number;
  /** The version of the shape that its lines belong to, coarse and full. */
  coarse: number;
  full: number;
}

const COARSE_POINTS = 80;
const MOST_METRICS = 32;
const NOTHING: PanelData = { lines: [], resolution: "none", problem: undefined };

export class ChartStore {
  /** The metrics on the screen. */
  readonly seen = signal<readonly string[]>([]);
  /** What the panels show now, and whether a call for it is under way. */
  readonly busy = signal(false);
  private readonly panels = new Map<string, Panel>();
  private shape: Shape | undefined;
  private version = 0;
  private abort: AbortController | undefined;
  private scheduled = false;

  data(metric: string): Signal<PanelData> {
    return this.panel(metric).data;
  }

  get current(): Shape | undefined {
    return this.shape;
  }

  /** Shows other runs, another axis or another range from now on. */
  reshape(shape: Shape): void {
    const before = this.shape;
    this.shape = shape;
    if (before && !sameLines(before, shape)) {
      const kept = new Set(shape.runs);
      const compatible =
        before.options.x === shape.options.x && before.options.groupBy === shape.options.groupBy;
      for (const panel of this.panels.values()) {
        const { lines } = panel.data.peek();
        const left = compatible ? lines.filter((line) => line.group === undefined && kept.has(line.run)) : [];
        panel.data.value = { ...NOTHING, lines: left, resolution: left.length ? "coarse" : "none" };
      }
    }
    this.renew();
  }

  /** Fetches again what is on the screen. */
  renew(): void {
    this.version += 1;
    this.abort?.abort();
    this.abort = undefined;
    this.schedule();
  }

  show(metric: string): void {
    const panel = this.panel(metric);
    panel.seen += 1;
    if (panel.seen === 1) this.seen.value = [...this.seen.peek(), metric];
    this.schedule();
  }

  hide(metric: string): void {
    const panel = this.panel(metric);
    panel.seen -= 1;
    if (panel.seen === 0) this.seen.value = this.seen.peek().filter((name) => name !== metric);
  }

  /** Replaces a panel's lines by what a live stream made of them. */
  put(metric: string, change: (lines: readonly Line[]) => readonly Line[]): void {
    const { data } = this.panel(metric);
    data.value = { ...data.peek(), lines: change(data.peek().lines) };
  }

  /** Ends what is under way; the page is left. */
  close(): void {
    this.abort?.abort();
  }

  private panel(metric: string): Panel {
    let panel = this.panels.get(metric);
    if (!panel) {
      panel = { data: signal(NOTHING), seen: 0, coarse: -1, full: -1 };
      this.panels.set(metric, panel);
    }
    return panel;
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    // Panels that come into sight in the same frame go together.
    requestAnimationFrame(() => {
      this.scheduled = false;
      void this.flush();
    });
  }

  private async flush(): Promise<void> {
    if (this.abort || !this.shape?.runs.length) return;
    const abort = new AbortController();
    this.abort = abort;
    this.busy.value = true;
    try {
      while (!abort.signal.aborted && (await this.fetchNext(this.shape, abort.signal)));
    } finally {
      if (this.abort === abort) {
        this.abort = undefined;
        this.busy.value = false;
      }
    }
  }

  /** One request for what is seen; false when everything is there. */
  private async fetchNext(shape: Shape, abort: AbortSignal): Promise<boolean> {
    const { version } = this;
    const seen = this.seen.peek().map((metric) => [metric, this.panel(metric)] as const);
    const empty = seen.filter(
      ([, panel]) => panel.coarse !== version && panel.data.peek().resolution === "none",
    );
    const wanted = (empty.length ? empty : seen.filter(([, panel]) => panel.full !== version)).slice(
      0,
      MOST_METRICS,
    );
    if (!wanted.length) return false;
    const coarse = empty.length > 0;
    const found = await this.fetch(
      shape,
      wanted.map(([metric]) => metric),
      coarse,
      abort,
    );
    if (abort.aborted || this.version !== version) return false;
    for (const [metric, panel] of wanted) {
      if (coarse) panel.coarse = version;
      // A call that failed is not made again for the same view; coming back of the service makes a new one.
      if (!coarse || found.problem) panel.full = version;
      if (found.problem) {
        panel.data.value = { ...panel.data.peek(), problem: found.problem };
        continue;
      }
      const lines = found.lines.get(metric) ?? [];
      panel.data.value = { lines, resolution: coarse ? "coarse" : "full", problem: undefined };
    }
    return true;
  }

  private async fetch(
    shape: Shape,
    metrics: string[],
    coarse: boolean,
    abort: AbortSignal,
  ): Promise<{ lines: Map<string, Line[]>; problem?: Problem }> {
    const lines = new Map<string, Line[]>();
    const request = chartRequest(
      shape,
      metrics,
      this.steps(shape, coarse),
      coarse ? COARSE_POINTS : shape.points,
    );
    try {
      for await (const message of query.chart(request, { signal: abort })) {
        if (message.rows === 0n) continue;
        const line = decode(message, axisKind(shape.options.x));
        const list = lines.get(line.metric);
        if (list) list.push(line);
        else lines.set(line.metric, [line]);
      }
    } catch (error) {
      if (isAbort(error)) return { lines };
      const problem = failed(error);
      // None of the runs has any of these metrics: panels without lines say so themselves.
      return problem.kind === "missing" ? { lines } : { lines, problem };
    }
    return { lines };
  }

  /** The steps to ask for: where the axis is another one, only what was drawn before tells them. */
  private steps(shape: Shape, coarse: boolean): Range | undefined {
    const { zoom, x } = shape.options;
    const axis = axisKind(x);
    if (!zoom || (coarse && axis !== "step")) return undefined;
    const drawn = this.seen.peek().flatMap((metric) => this.panel(metric).data.peek().lines);
    return stepsWithin(drawn, zoom, axis);
  }
}

/** Whether the lines of one shape can stand in for those of the other until these are there. */
function sameLines(a: Shape, b: Shape): boolean {
  return (
    a.runs.length === b.runs.length &&
    a.runs.every((run, index) => run === b.runs[index]) &&
    a.options.x === b.options.x &&
    a.options.groupBy === b.options.groupBy &&
    a.options.ranks === b.options.ranks
  );
}
