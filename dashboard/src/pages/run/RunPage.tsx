/** One run. */
import { useEffect, useState } from "preact/hooks";
import { useResource } from "../../api/resource";
import { runs } from "../../api/transport";
import { ChartsView } from "../../charts/ChartsView";
import type { Run } from "../../gen/stepline/v1/runs_pb";
import { ago, count, duration, instant } from "../../lib/format";
import { go } from "../../state/address";
import { now } from "../../state/clock";
import { useShortcuts } from "../../state/keys";
import { durationOf, provisional, runRow, title } from "../../state/run";
import { SystemView } from "../../system/SystemView";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/Link";
import { Name } from "../../ui/Name";
import { Failure, Notice } from "../../ui/Notice";
import { State } from "../../ui/State";
import { Tags } from "../../ui/Tags";
import { trail } from "../../ui/trail";
import { Console } from "./Console";
import { Editor } from "./Editor";
import { Overview } from "./Overview";

const TABS = [
  ["", "Charts", "g c"],
  ["overview", "Overview", "g o"],
  ["console", "Console", "g l"],
  ["system", "System", "g s"],
] as const;
const REFRESH_MS = 4000;

export function RunPage({ id, tab }: { id: string; tab: string }) {
  const found = useResource(`run ${id}`, (abort) => runs.getRun({ runId: id }, { signal: abort }), {
    refresh: REFRESH_MS,
  });
  const run = found.data?.run;
  useEffect(() => {
    document.title = `${run?.name || id} · Stepline`;
    trail.value = run
      ? [
          { path: ["p", run.project], text: run.project },
          { path: ["r", id], text: run.name || id },
        ]
      : [{ path: ["r", id], text: id }];
  }, [run?.name, run?.project, id]);
  if (found.problem?.kind === "missing") {
    return (
      <Notice title="This run is not there">
        <p>
          <code>{id}</code> was deleted, or the address is mistyped.
        </p>
        <Link path={[]}>All projects</Link>
      </Notice>
    );
  }
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
  // Its charts can be asked for before it is known what it is called.
  if (!run && tab !== "") return <div class="loading" />;
  const row = run ? runRow(run) : provisional(id);
  return (
    <div class="page full">
      {run ? <Head run={run} onEdited={found.reload} /> : <div class="run-title" />}
      <Tabs id={id} tab={tab} />
      <div class="scroll">
        {tab === "" ? <ChartsView runs={[row]} /> : run && <Tab run={run} tab={tab} />}
      </div>
    </div>
  );
}

function Tab({ run, tab }: { run: Run; tab: string }) {
  const row = runRow(run);
  if (tab === "overview") return <Overview run={run} />;
  if (tab === "console") return <Console run={row} />;
  if (tab === "system") return <SystemView runs={[row]} />;
  return <Notice title="There is no such page" />;
}

function Head({ run, onEdited }: { run: Run; onEdited: () => void }) {
  const row = runRow(run);
  const [editing, setEditing] = useState(false);
  useShortcuts([{ keys: "e", what: "Edit name, tags and notes", run: () => setEditing(true) }]);
  return (
    <div class="run-title">
      <h1>
        <Name text={title(row)} />
      </h1>
      <State state={row.state} />
      <code class="dim">{row.id}</code>
      <span class="dim" title={instant(row.created)}>
        {row.state === "running" ? "" : `${ago(row.created, now.value)}, `}
        for {duration(durationOf(row, now.value))}
      </span>
      {row.attempts > 1 && <span class="dim">{row.attempts} attempts</span>}
      {run.worldSize > 1 && <span class="dim">{run.worldSize} ranks</span>}
      {run.forkRunId && (
        <span class="dim">
          fork of <Link path={["r", run.forkRunId]}>{run.forkRunId}</Link>
        </span>
      )}
      <Incomplete id={row.id} />
      {run.errorType && (
        <bdi class="bad" title={run.errorMessage}>
          {run.errorType}
        </bdi>
      )}
      <Tags tags={row.tags} />
      <button
        type="button"
        class="quiet"
        title="Edit name, tags and notes (e)"
        aria-label="Edit"
        onClick={() => setEditing(true)}
      >
        <Icon name="edit" size={14} />
      </button>
      {editing && <Editor run={run} onClose={() => setEditing(false)} onSaved={onEdited} />}
    </div>
  );
}

const CALM_MS = 1500;
/** So many kinds of what is missing are told at most. */
const NAMED_MISSING = 100;

/** Says when something that was logged is not there; asked once the page has what it is about. */
function Incomplete({ id }: { id: string }) {
  const [calm, setCalm] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setCalm(true), CALM_MS);
    return () => clearTimeout(timer);
  }, []);
  const found = useResource(calm ? `missing ${id}` : "", (abort) =>
    runs.getLineage({ runId: id }, { signal: abort }),
  );
  const missing = found.data?.missing ?? [];
  if (!missing.length) return null;
  const total = missing.reduce((sum, one) => sum + one.count, 0n);
  const atLeast = missing.length < NAMED_MISSING ? "" : "at least ";
  return (
    <Link path={["r", id, "overview"]} class="bad" title={missing[0]?.reason ?? ""}>
      incomplete: {atLeast}
      {count(total)} never stored
    </Link>
  );
}

function Tabs({ id, tab }: { id: string; tab: string }) {
  const pathOf = (name: string) => ["r", id, ...(name ? [name] : [])];
  useShortcuts(
    TABS.map(([name, text, keys]) => ({ keys, what: `Go to ${text}`, run: () => go(pathOf(name)) })),
  );
  return (
    <nav class="tabs" aria-label="Views of the run">
      {TABS.map(([name, text]) => (
        <Link key={name} path={pathOf(name)} current={name === tab}>
          {text}
        </Link>
      ))}
    </nav>
  );
}
