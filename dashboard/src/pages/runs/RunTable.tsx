/** The table of runs: as long as the project has runs, with only the rows that are seen. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { change, param } from "../../state/address";
import { type RunRow, title } from "../../state/run";
import { chosen, toggle } from "../../state/selection";
import { inkOf } from "../../state/slots";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/Link";
import { Name } from "../../ui/Name";
import { byRows } from "../../ui/rows";
import { Cell } from "./Cell";
import type { Column } from "./columns";
import type { RunPages } from "./pages";

export const ROW = 30;
const BEYOND = 8;
/** The least time between two looks for missing rows while somebody scrolls: who flies over thousands does not read them. */
const PACE_MS = 300;
/** Who has not scrolled for so long looks at what is there. */
const REST_MS = 60;
const NARROW = window.matchMedia("(max-width: 760px)").matches;
const NAME_WIDTH = NARROW ? 170 : 280;

/** The grid of a row. */
export function templateOf(columns: readonly Column[]): string {
  return `${NAME_WIDTH}px ${columns.map((column) => `${column.width}px`).join(" ")}`;
}

export function RunTable({ pages, columns }: { pages: RunPages; columns: readonly Column[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const view = useSignal({ top: 0, height: 600 });
  const total = pages.total.value ?? 0;
  void pages.version.value;
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const look = () => {
      view.value = { top: element.scrollTop, height: element.clientHeight };
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      observer.disconnect();
    };
  }, []);
  const { top, height } = view.value;
  const first = Math.max(0, Math.floor(top / ROW) - BEYOND);
  const end = Math.min(total, Math.ceil((top + height) / ROW) + BEYOND);
  const asked = useRef(0);
  useEffect(() => {
    const ask = () => {
      asked.current = performance.now();
      pages.want(first, Math.max(first + 1, end));
    };
    const pause = asked.current + PACE_MS - performance.now();
    if (pause <= 0) return ask();
    const timer = setTimeout(ask, Math.min(pause, REST_MS));
    return () => clearTimeout(timer);
  }, [pages, first, end]);
  const template = templateOf(columns);
  const rows = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
  return (
    <div
      class="run-table"
      ref={scroller}
      role="table"
      aria-label="Runs"
      aria-rowcount={total + 1}
      tabIndex={-1}
      onKeyDown={byRows(scroller, total, ROW)}
    >
      <Heads columns={columns} />
      <div class="run-space" role="rowgroup" style={{ height: `${total * ROW}px` }}>
        {rows.map((index) => (
          <Row key={index} run={pages.row(index)} index={index} columns={columns} template={template} />
        ))}
      </div>
    </div>
  );
}

/** The row of heads, which sort. */
export function Heads({ columns }: { columns: readonly Column[] }) {
  const name = { key: "name", title: "name", origin: "", width: NAME_WIDTH, sortable: true, value: -1 };
  return (
    <div class="run-head" role="row" style={{ gridTemplateColumns: templateOf(columns) }}>
      {[name, ...columns].map((column) => (
        <Head key={column.key} column={column} />
      ))}
    </div>
  );
}

function Head({ column }: { column: Column }) {
  const [sort = ""] = param("sort").split(",");
  const descending = sort === `-${column.key}`;
  const sorted = descending || sort === column.key;
  const text = (
    <>
      {column.origin && <small>{column.origin}</small>}
      <bdi title={column.key}>{column.title}</bdi>
      {sorted && <Icon name={descending ? "down" : "up"} size={11} />}
    </>
  );
  if (!column.sortable) {
    return (
      <div role="columnheader" class="head">
        {text}
      </div>
    );
  }
  // First descending (the newest, the highest), then ascending, then as the service does.
  const next = sort === `-${column.key}` ? column.key : sort === column.key ? "" : `-${column.key}`;
  return (
    <div
      role="columnheader"
      class="head"
      aria-sort={sorted ? (descending ? "descending" : "ascending") : "none"}
    >
      <button type="button" onClick={() => change({ sort: next })}>
        {text}
      </button>
    </div>
  );
}

interface RowProps {
  run: RunRow | undefined;
  index: number;
  columns: readonly Column[];
  template: string;
}

function Row({ run, index, columns, template }: RowProps) {
  const style = { transform: `translateY(${index * ROW}px)`, gridTemplateColumns: template };
  if (!run) return <div class="run-row waiting" role="row" aria-rowindex={index + 2} style={style} />;
  return (
    <div
      class="run-row"
      role="row"
      aria-rowindex={index + 2}
      style={style}
      data-run={run.id}
      data-row={index}
    >
      <RunName run={run} />
      {columns.map((column) => (
        <div key={column.key} role="cell" class="cell">
          <Cell run={run} column={column} />
        </div>
      ))}
    </div>
  );
}

/** The name of a run, and the box that selects it, in the ink that its lines have. */
export function RunName({ run }: { run: RunRow }) {
  const selected = chosen.value.includes(run.id);
  return (
    <div role="cell" class="cell name-cell">
      <input
        type="checkbox"
        checked={selected}
        aria-label={`Select ${title(run)}`}
        style={selected ? { accentColor: inkOf(run.id).color } : {}}
        onChange={() => toggle(run.id, chosen.peek())}
      />
      <Link path={["r", run.id]}>
        <Name text={title(run)} />
      </Link>
    </div>
  );
}
