/** All metrics of the runs that are shown, in sections by prefix; each section brings its panels as it comes into sight. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { count } from "../lib/format";
import { address, change } from "../state/address";
import { Icon } from "../ui/icons";
import { Failure, Notice } from "../ui/Notice";
import { useChartPage } from "./context";
import { columnsIn, heightOf, panelsIn } from "./grid";
import { foremost, known, LOOSE, listNames, listSections, type Names, PINNED, type Section } from "./names";
import { Panel } from "./Panel";
import { pinned } from "./pins";

const PAGE = 24;
/** 100,000 metrics may have thousands of prefixes, whose heads alone take the browser seconds. */
const SECTIONS = 40;
const REFRESH_MS = 15_000;
const SPACE = 500;

export function Sections({ search, live }: { search: string; live: boolean }) {
  const { runIds, store } = useChartPage();
  const place = useRef<HTMLDivElement>(null);
  const width = useRef(window.innerWidth);
  const [wanted, setWanted] = useState(SECTIONS);
  const ids = runIds.value;
  const key = ids.length ? JSON.stringify([ids, search]) : "";
  // A run that goes on may begin to log something new.
  const names = useResource(
    key,
    async (abort) => {
      const found = await listSections(ids, search, abort);
      if (abort.aborted) return found;
      store.define(found.first);
      width.current = place.current?.parentElement?.clientWidth ?? width.current;
      const room = panelsIn(width.current, window.innerHeight);
      store.expect(foremost(found, search ? [] : pinned.peek(), closedSections(), room));
      return found;
    },
    { refresh: live ? REFRESH_MS : 0 },
  );
  // Whether a chosen run is there is for the page to say.
  if (names.problem?.kind === "missing") return <div class="loading" />;
  if (names.problem) return <Failure problem={names.problem} again={names.reload} />;
  if (!names.data) return <div class="loading" ref={place} />;
  const { sections, loose } = names.data;
  const pins = search ? [] : pinned.value;
  if (!sections.length && !loose.length) {
    return search ? (
      <Notice title="No metric has such a name">
        A text is found anywhere in the name; <code>train/*</code> is a glob, <code>/loss$/</code> a regular
        expression.
      </Notice>
    ) : (
      <Notice title="Nothing logged yet">Charts appear here with the first points.</Notice>
    );
  }
  return (
    <>
      {pins.length > 0 && <Pinned names={pins} />}
      {loose.length > 0 && <Loose names={loose} first={!pins.length} />}
      {sections.slice(0, wanted).map((section, index) => (
        <SectionOf
          key={section.prefix}
          section={section}
          search={search}
          names={names.data as Names}
          first={!index && !pins.length && !loose.length}
          columns={columnsIn(width.current)}
        />
      ))}
      {wanted < sections.length && (
        <More left={sections.length - wanted} what="sections" onSeen={() => setWanted(wanted + SECTIONS)} />
      )}
    </>
  );
}

function Pinned({ names }: { names: readonly string[] }) {
  return (
    <Frame prefix={PINNED} title="pinned" total={names.length} first>
      <div class="panels">
        {names.map((name) => (
          <Panel key={name} metric={name} />
        ))}
      </div>
    </Frame>
  );
}

function Loose({ names, first }: { names: string[]; first: boolean }) {
  const [shown, setShown] = useState(PAGE);
  return (
    <Frame prefix="" title="" total={names.length} first={first}>
      <div class="panels">
        {names.slice(0, shown).map((name) => (
          <Panel key={name} metric={name} />
        ))}
      </div>
      {shown < names.length && <More left={names.length - shown} onSeen={() => setShown(shown + PAGE)} />}
    </Frame>
  );
}

interface SectionProps {
  section: Section;
  search: string;
  names: Names;
}

function SectionOf(props: SectionProps & { first: boolean; columns: number }) {
  const { section, search, names, first, columns } = props;
  const room = heightOf(Math.min(section.count, PAGE), columns);
  return (
    <Frame prefix={section.prefix} title={section.prefix} total={section.count} first={first} room={room}>
      <Pages section={section} search={search} names={names} />
    </Frame>
  );
}

/** The panels of a section, a page of names at a time. */
function Pages({ section, search, names: listed }: SectionProps) {
  const [wanted, setWanted] = useState(PAGE);
  const { runIds, store } = useChartPage();
  const ids = runIds.value;
  const there = known(listed, section, wanted);
  const key = there ? "" : JSON.stringify([ids, section.prefix, search, wanted]);
  const found = useResource(key, (abort) => listNames(ids, section.prefix, search, wanted, 0, abort));
  const before = useRef<string[]>([]);
  const latest = there ?? found.data;
  if (latest) {
    store.define(latest);
    before.current = latest.map((metric) => metric.name);
  }
  const names = before.current;
  if (!there && found.problem) return <Failure problem={found.problem} again={found.reload} />;
  return (
    <>
      <div class="panels">
        {names.map((name) => (
          <Panel key={name} metric={name} />
        ))}
        {!names.length &&
          Array.from({ length: Math.min(section.count, PAGE) }, (_, index) => (
            <div class="panel" key={index} />
          ))}
      </div>
      {names.length > 0 && wanted < section.count && (
        <More
          left={section.count - names.length}
          onSeen={() => (key && found.loading) || setWanted(wanted + 2 * PAGE)}
        />
      )}
    </>
  );
}

function closedSections(): string[] {
  return (address.value.query.closed ?? "").split(",").filter(Boolean);
}

interface FrameProps {
  prefix: string;
  title: string;
  total: number;
  children: preact.ComponentChildren;
  /** It is at the top, and so on the screen. */
  first?: boolean;
  /** The height that its panels will about have, so that what is below does not seem to be near. */
  room?: number;
}

/** A section that can be closed, which the address remembers; its panels are there once it is near the screen. */
function Frame(props: FrameProps) {
  const { prefix, title, total, children, first = false, room = SPACE } = props;
  const root = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(first);
  const closed = closedSections();
  const mark = prefix || LOOSE;
  const open = !closed.includes(mark);
  const { sight } = useChartPage();
  useEffect(() => {
    return root.current && !near ? sight.watch(root.current, (seen) => seen && setNear(true)) : undefined;
  }, [near, sight]);
  const toggle = () =>
    change({ closed: (open ? [...closed, mark] : closed.filter((one) => one !== mark)).join(",") });
  return (
    <div class="section" ref={root}>
      <button type="button" class="section-head" aria-expanded={open} onClick={toggle}>
        <Icon name="chevron" size={12} />
        <bdi>{title.replace(/\/$/, "") || "metrics"}</bdi>
        <span class="dim">{count(total)}</span>
      </button>
      {open && (near ? children : <div style={{ height: `${room}px` }} />)}
    </div>
  );
}

/** The end of a list: asks for more when it is seen. */
function More({ left, what = "", onSeen }: { left: number; what?: string; onSeen: () => void }) {
  const root = useRef<HTMLDivElement>(null);
  const latest = useRef(onSeen);
  latest.current = onSeen;
  const { sight } = useChartPage();
  useEffect(() => {
    return root.current ? sight.watch(root.current, (seen) => seen && latest.current()) : undefined;
  });
  return (
    <div class="more" ref={root}>
      {count(left)} more {what}
    </div>
  );
}
