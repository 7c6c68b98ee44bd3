/** All metrics of the runs that are shown, in sections by prefix; each section brings its panels as it comes into sight. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { count } from "../lib/format";
import { address, change } from "../state/address";
import { Icon } from "../ui/icons";
import { Failure, Notice } from "../ui/Notice";
import { useChartPage } from "./context";
import { listNames, listSections, type Section } from "./names";
import { Panel } from "./Panel";

const PAGE = 24;
const REFRESH_MS = 15_000;

export function Sections({ search, live }: { search: string; live: boolean }) {
  const ids = useChartPage().runIds.value;
  const key = ids.length ? JSON.stringify([ids, search]) : "";
  // A run that goes on may begin to log something new.
  const names = useResource(key, (abort) => listSections(ids, search, abort), {
    refresh: live ? REFRESH_MS : 0,
  });
  if (names.problem) return <Failure problem={names.problem} again={names.reload} />;
  if (!names.data) return <div class="loading" />;
  const { sections, loose } = names.data;
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
      {loose.length > 0 && <Loose names={loose} />}
      {sections.map((section) => (
        <SectionOf key={section.prefix} section={section} search={search} />
      ))}
    </>
  );
}

function Loose({ names }: { names: string[] }) {
  const [shown, setShown] = useState(PAGE);
  return (
    <Frame prefix="" title="" total={names.length}>
      <div class="panels">
        {names.slice(0, shown).map((name) => (
          <Panel key={name} metric={name} />
        ))}
      </div>
      {shown < names.length && <More left={names.length - shown} onSeen={() => setShown(shown + PAGE)} />}
    </Frame>
  );
}

function SectionOf({ section, search }: { section: Section; search: string }) {
  return (
    <Frame prefix={section.prefix} title={section.prefix} total={section.count}>
      <Pages section={section} search={search} />
    </Frame>
  );
}

/** The panels of a section, a page of names at a time. */
function Pages({ section, search }: { section: Section; search: string }) {
  const [wanted, setWanted] = useState(PAGE);
  const ids = useChartPage().runIds.value;
  const key = JSON.stringify([ids, section.prefix, search, wanted]);
  const found = useResource(key, (abort) => listNames(ids, section.prefix, search, wanted, 0, abort));
  const before = useRef<string[]>([]);
  if (found.data) before.current = found.data.map((metric) => metric.name);
  const names = before.current;
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
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
          onSeen={() => found.loading || setWanted(wanted + 2 * PAGE)}
        />
      )}
    </>
  );
}

/** A section that can be closed, which the address remembers; its panels are there once it is near the screen. */
function Frame(props: { prefix: string; title: string; total: number; children: preact.ComponentChildren }) {
  const { prefix, title, total, children } = props;
  const root = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(false);
  const closed = (address.value.query.closed ?? "").split(",").filter(Boolean);
  const mark = prefix || "/";
  const open = !closed.includes(mark);
  useEffect(() => {
    if (!root.current || near) return;
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && setNear(true),
      {
        rootMargin: "400px",
      },
    );
    observer.observe(root.current);
    return () => observer.disconnect();
  }, [near]);
  const toggle = () =>
    change({ closed: (open ? [...closed, mark] : closed.filter((one) => one !== mark)).join(",") });
  return (
    <div class="section" ref={root}>
      <button type="button" class="section-head" aria-expanded={open} onClick={toggle}>
        <Icon name="chevron" size={12} />
        <bdi>{title.replace(/\/$/, "") || "metrics"}</bdi>
        <span class="dim">{count(total)}</span>
      </button>
      {open && (near ? children : <div class="panels-space" />)}
    </div>
  );
}

/** The end of a list: asks for more when it is seen. */
function More({ left, onSeen }: { left: number; onSeen: () => void }) {
  const root = useRef<HTMLDivElement>(null);
  const latest = useRef(onSeen);
  latest.current = onSeen;
  useEffect(() => {
    if (!root.current) return;
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && latest.current(),
      {
        rootMargin: "500px",
      },
    );
    observer.observe(root.current);
    return () => observer.disconnect();
  });
  return (
    <div class="more" ref={root}>
      {count(left)} more
    </div>
  );
}
