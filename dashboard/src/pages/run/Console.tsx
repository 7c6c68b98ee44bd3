/** What the processes of a run print, rank by rank, as they print it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { epoch, failed } from "../../api/connection";
import { isAbort, type Problem } from "../../api/problem";
import { capture } from "../../api/transport";
import { type ConsoleLine, ConsoleStream } from "../../gen/stepline/v1/capture_pb";
import { instant } from "../../lib/format";
import { change, param } from "../../state/address";
import type { RunRow } from "../../state/run";
import { Failure } from "../../ui/Notice";
import { Search } from "../../ui/Search";
import { ConsoleLines } from "./lines";

const TAIL = 2000;
const MOST_SHOWN = 5000;
const POLL_MS = 1500;

const CLASSES: Partial<Record<ConsoleStream, string>> = {
  [ConsoleStream.ERR]: "err",
  [ConsoleStream.NOTE]: "note",
};

export function Console({ run }: { run: RunRow }) {
  const rank = Math.max(0, Math.trunc(Number(param("rank")) || 0));
  const contains = param("find");
  const { lines, problem, ready } = useConsole(run, rank, contains);
  const end = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    if (follows.current) end.current?.scrollIntoView({ block: "end" });
  }, [lines]);
  if (problem) return <Failure problem={problem} />;
  return (
    <div class="console-page">
      <div class="toolbar">
        <Search
          value={contains}
          placeholder="Lines that contain …"
          label="Search the console"
          onChange={(find) => change({ find })}
        />
        <label class="choice">
          <span>rank</span>
          <input
            type="number"
            min="0"
            value={rank}
            onChange={(event) =>
              change({ rank: event.currentTarget.value === "0" ? undefined : event.currentTarget.value })
            }
          />
        </label>
      </div>
      {ready && !lines.length ? (
        <p class="panel-note">
          {contains ? "No line contains that" : "Nothing was printed, or nothing was captured"}
        </p>
      ) : (
        <div
          class="console"
          role="log"
          aria-label={`Output of rank ${rank}`}
          tabIndex={0}
          onScroll={(event) => {
            const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
            follows.current = scrollHeight - scrollTop - clientHeight < 40;
          }}
        >
          {lines.slice(-MOST_SHOWN).map((line) => (
            <div
              key={`${line.writer}${line.line}`}
              class={CLASSES[line.stream] ?? ""}
              title={instant(Number(line.timeMs))}
            >
              {line.text || " "}
            </div>
          ))}
          <div ref={end} />
        </div>
      )}
    </div>
  );
}

interface Output {
  lines: readonly ConsoleLine[];
  problem: Problem | undefined;
  ready: boolean;
}

/** The last lines of a rank, and from then on what is new. */
function useConsole(run: RunRow, rank: number, contains: string): Output {
  const [output, setOutput] = useState<Output>({ lines: [], problem: undefined, ready: false });
  // Its end is a reason to look once more.
  const alive = run.state === "running";
  useEffect(() => {
    const abort = new AbortController();
    const kept = new ConsoleLines();
    let cursor: Uint8Array = new Uint8Array();
    let timer = 0;
    const { signal } = abort;
    const read = async () => {
      try {
        for (;;) {
          const reply = await capture.readConsole(
            { runId: run.id, rank, contains, cursor, tail: cursor.length ? 0 : TAIL },
            { signal },
          );
          cursor = reply.cursor;
          if (kept.add(reply.lines) || !reply.more)
            setOutput({ lines: kept.all(), problem: undefined, ready: true });
          if (!reply.more) break;
        }
      } catch (error) {
        if (isAbort(error)) return;
        const problem = failed(error);
        if (problem.kind !== "offline") {
          setOutput({ lines: [], problem, ready: true });
          return;
        }
      }
      if (alive && !signal.aborted) timer = window.setTimeout(again, POLL_MS);
    };
    const again = () => {
      if (!document.hidden) void read();
      else document.addEventListener("visibilitychange", again, { once: true, signal });
    };
    void read();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [run.id, rank, contains, alive, epoch.value]);
  return output;
}
