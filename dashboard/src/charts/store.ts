/**
 * The lines of all panels of a page. Panels say when they are seen; what is seen and not there yet is fetched in one request,
 * first coarse, then as fine as the screen. Lines stay on the screen until better ones are there.
 */
import { batch, type Signal, signal } from "@preact/signals";
import { failed } from "../api/connection";
import { isAbort, type Problem } from "../api/problem";
import type { MetricDefinition } from "../gen/stepline/v1/query_pb";
import { axisKind, type Line } from "./line";
import { chartLines } from "./lines";
import { chartRequest, type Shape } from "./request";

export interface PanelData {
  lines: readonly Line[];
  /** What the x axis counts, as a chart request says it. */
  axis: string;
  /** What define_metric() said of the metric. */
  definition: MetricDefinition | undefined;
  /** How fine the lines are; "none" before the first answer. */
  resolution: "none" | "coarse" | "full";
  problem: Problem | undefined;
}

interface Panel {
  data: Signal<PanelData>;
  /** The axis that was defined for it; undefined before its name was listed. */
  defined: string | undefined;
  seen: number;
  /** The version of the shape that its lines belong to, coarse and full. */
  coarse: number;
  full: number;
}

const COARSE_POINTS = 80;
const MOST_METRICS = 32;
/** So many panels are painted before all others. */
const FIRST = 4;
const NOTHING: PanelData = {
  lines: [],
  axis: "step",
  definition: undefined,
  resolution: "none",
  problem: undefined,
};

export class ChartStore {
  /** The metrics on the screen. */
  readonly seen = signal<readonly string[]>([]);
  /** What the panels show now, and whether a call for it is under way. */
  readonly busy = signal(false);
  /** Rises when a panel on the screen turns out to be drawn over another axis than it seemed. */
  readonly axes = signal(0);
  /** False until the first charts are painted: what a view can do without then waits. */
  readonly calm = signal(false);
  private readonly panels = new Map<string, Panel>();
  private shape: Shape | undefined;
  private version = 0;
  private abort: AbortController | undefined;
  private scheduled = false;
  private expected: readonly string[] = [];

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
        const resolution = left.length ? "coarse" : "none";
        panel.data.value = { ...panel.data.peek(), lines: left, resolution, problem: undefined };
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

  /** Takes in what was defined of metrics, before they are shown. */
  define(metrics: Iterable<{ name: string; definition?: MetricDefinition | undefined }>): void {
    batch(() => {
      for (const { name, definition } of metrics) {
        const panel = this.panel(name);
        this.watching(panel, () => {
          panel.defined = definition?.x ?? "";
        });
        const data = panel.data.peek();
        if (definition && !alike(definition, data.definition)) panel.data.value = { ...data, definition };
      }
    });
  }

  /** The metrics on the screen by the axis that they are drawn over; each lot is one request. */
  lots(metrics: readonly string[], x: string): string[][] {
    if (x) return [[...metrics]];
    const lots = new Map<string, string[]>();
    for (const metric of metrics) {
      // The service takes the axis that all metrics of a request agree on.
      const key = this.panel(metric).defined ?? `? ${metric}`;
      const lot = lots.get(key);
      if (lot) lot.push(metric);
      else lots.set(key, [metric]);
    }
    return [...lots.values()];
  }

  /** Asks for METRICS while their panels are being made, on a page that shows none yet. */
  expect(metrics: readonly string[]): void {
    if (this.seen.peek().length) return;
    this.expected = metrics;
    void this.flush();
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
    const before = data.peek();
    const lines = change(before.lines);
    data.value = { ...before, lines, axis: lines[0]?.axis ?? before.axis };
  }

  /** Ends what is under way; the page is left. */
  close(): void {
    this.abort?.abort();
  }

  private panel(metric: string): Panel {
    let panel = this.panels.get(metric);
    if (!panel) {
      panel = { data: signal(NOTHING), defined: undefined, seen: 0, coarse: -1, full: -1 };
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
    // What was expected is worth one request; after that counts what is seen.
    const metrics = new Set([...this.seen.peek(), ...this.expected]);
    this.expected = [];
    const seen = [...metrics].map((metric) => [metric, this.panel(metric)] as const);
    const empty = seen.filter(
      ([, panel]) => panel.coarse !== version && panel.data.peek().resolution === "none",
    );
    const wanted = (empty.length ? empty : seen.filter(([, panel]) => panel.full !== version)).slice(
      0,
      MOST_METRICS,
    );
    if (!wanted.length) return false;
    const coarse = empty.length > 0;
    const lots = this.lots(
      wanted.map(([metric]) => metric),
      shape.options.x,
    );
    const answers = await Promise.all(lots.map((lot) => this.fetch(shape, lot, coarse, abort)));
    if (abort.aborted || this.version !== version) return false;
    const found = new Map(answers.flatMap((answer) => answer.metrics.map((metric) => [metric, answer])));
    const take = (some: typeof wanted) =>
      batch(() => {
        for (const [metric, panel] of some) this.take(metric, panel, found.get(metric) as Answer, coarse);
      });
    // The first ones of a page are on the screen before the browser paints all.
    const ahead = this.calm.peek() ? 0 : FIRST;
    take(wanted.slice(0, ahead));
    if (ahead) await painted();
    if (abort.aborted || this.version !== version) return false;
    take(wanted.slice(ahead));
    if (ahead)
      void painted().then(() => {
        this.calm.value = true;
      });
    return true;
  }

  private take(metric: string, panel: Panel, answer: Answer, coarse: boolean): void {
    const { problem } = answer;
    if (coarse) panel.coarse = this.version;
    const data = panel.data.peek();
    if (problem) {
      // A call that failed is not made again for the same view; coming back of the service makes a new one.
      panel.full = this.version;
      panel.data.value = { ...data, problem };
      return;
    }
    const lines = answer.lines.get(metric) ?? [];
    // Short lines are whole with few points: there is nothing finer to ask for.
    const full = !coarse || (lines.length > 0 && lines.every((line) => line.raw));
    if (full) panel.full = this.version;
    const axis = lines[0]?.axis ?? data.axis;
    this.watching(panel, () => {
      panel.data.value = { ...data, lines, axis, resolution: full ? "full" : "coarse", problem: undefined };
    });
  }

  private async fetch(shape: Shape, metrics: string[], coarse: boolean, abort: AbortSignal): Promise<Answer> {
    const lines = new Map<string, Line[]>();
    const points = coarse ? COARSE_POINTS : shape.points;
    const request = chartRequest(shape, metrics, this.axisOf(metrics, shape) || "step", points);
    try {
      for await (const line of chartLines(request, shape.options.x || "step", abort)) {
        const list = lines.get(line.metric);
        if (list) list.push(line);
        else lines.set(line.metric, [line]);
      }
    } catch (error) {
      if (isAbort(error)) return { metrics, lines };
      const problem = failed(error);
      // None of the runs has any of these metrics: panels without lines say so themselves.
      return problem.kind === "missing" ? { metrics, lines } : { metrics, lines, problem };
    }
    return { metrics, lines };
  }

  /** The axis that METRICS, which are of one lot, will be drawn over; empty while only the service knows. */
  axisOf(metrics: readonly string[], shape: Shape): string {
    if (shape.options.x) return shape.options.x;
    const own = metrics[0] === undefined ? "step" : ownAxis(this.panel(metrics[0]));
    // Runs that share a line have no metric in common as their axis.
    return shape.options.groupBy && axisKind(own) === "metric" ? "step" : own;
  }

  /** Makes CHANGE to PANEL, and tells of it where another axis comes of it. */
  private watching(panel: Panel, change: () => void): void {
    const before = ownAxis(panel) || "step";
    change();
    if (this.shape?.options.x || !panel.seen) return;
    if ((ownAxis(panel) || "step") !== before) this.axes.value = this.axes.peek() + 1;
  }
}

/** What a panel is drawn over when nobody chose; empty while it has no lines and its name was not listed. */
function ownAxis({ data, defined }: Panel): string {
  const { lines, axis } = data.peek();
  if (lines.length) return axis;
  return defined === undefined ? "" : axisNamed(defined);
}

/** Once the browser has painted what is there now. */
function painted(): Promise<void> {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

interface Answer {
  metrics: string[];
  lines: Map<string, Line[]>;
  problem?: Problem;
}

function alike(a: MetricDefinition, b: MetricDefinition | undefined): boolean {
  return b !== undefined && a.x === b.x && a.goal === b.goal && a.unit === b.unit;
}

/** The axis that define_metric() means by NAME. */
export function axisNamed(name: string): string {
  if (!name) return "step";
  return axisKind(name) === "step" && name !== "step" ? `metric:${name}` : name;
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
