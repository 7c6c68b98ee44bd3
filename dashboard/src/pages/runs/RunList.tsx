/** The runs of a project beside its charts: which of them are drawn, and in which ink. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { count } from "../../lib/format";
import { type RunRow, title } from "../../state/run";
import { choose, chosen, DEFAULT_RUNS, toggle } from "../../state/selection";
import { inkOf } from "../../state/slots";
import { Link } from "../../ui/Link";
import { Name } from "../../ui/Name";
import { byRows } from "../../ui/rows";
import { State } from "../../ui/State";
import { Swatch } from "../../ui/Swatch";
import type { RunPages } from "./pages";

const ROW = 26;
const BEYOND = 10;

export function RunList({ pages, shown }: { pages: RunPages; shown: readonly RunRow[] }) {
  const total = pages.total.value ?? 0;
  void pages.version.value;
  const scroller = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = scroller.current?.clientHeight ?? 600;
  const first = Math.max(0, Math.floor(top.value / ROW) - BEYOND);
  const end = Math.min(total, Math.ceil((top.value + height) / ROW) + BEYOND);
  useEffect(() => pages.want(first, Math.max(first + 1, end)), [pages, first, end]);
  const ids = shown.map((run) => run.id);
  return (
    <>
      <div class="list-head">
        <span>
          <b>{shown.length}</b> of {count(total)} drawn
        </span>
        {chosen.value.length > 0 && (
          <button
            type="button"
            class="quiet"
            title={`Draw the first ${DEFAULT_RUNS} of the list`}
            onClick={() => choose([])}
          >
            First {DEFAULT_RUNS}
          </button>
        )}
      </div>
      <div
        class="run-list"
        ref={scroller}
        onScroll={(event) => (top.value = event.currentTarget.scrollTop)}
        onKeyDown={byRows(scroller, total, ROW)}
      >
        <div style={{ height: `${total * ROW}px` }}>
          {Array.from({ length: Math.max(0, end - first) }, (_, offset) => first + offset).map((index) => (
            <Row key={index} run={pages.row(index)} index={index} ids={ids} />
          ))}
        </div>
      </div>
    </>
  );
}

function Row({ run, index, ids }: { run: RunRow | undefined; index: number; ids: readonly string[] }) {
  const style = { transform: `translateY(${index * ROW}px)` };
  if (!run) return <div class="list-row" style={style} />;
  const on = ids.includes(run.id);
  return (
    <div class={on ? "list-row on" : "list-row"} style={style} data-run={run.id} data-row={index}>
      <button
        type="button"
        class="ink"
        role="checkbox"
        aria-checked={on}
        aria-label={`Draw ${title(run)}`}
        title={on ? "Leave out" : "Draw"}
        onClick={() => toggle(run.id, ids)}
      >
        {on ? <Swatch ink={inkOf(run.id)} /> : <i class="no-ink" />}
      </button>
      <Link path={["r", run.id]}>
        <Name text={title(run)} />
      </Link>
      {run.state !== "finished" && <State state={run.state} />}
    </div>
  );
}
