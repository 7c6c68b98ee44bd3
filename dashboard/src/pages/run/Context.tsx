/** Where and from what a run was started, as its first rank saw it. */
import type { ContextPart } from "../../gen/stepline/v1/capture_pb";
import { flatten, parseObject } from "../../lib/flatten";
import { KeyValues } from "../../ui/KeyValues";

/** Parts in the order in which people look for them; others follow. */
const ORDER = ["program", "git", "diff", "machine", "environment", "packages"];
const LONG = 300;

export function Context({ parts }: { parts: readonly ContextPart[] }) {
  const place = (part: ContextPart) => (ORDER.includes(part.part) ? ORDER.indexOf(part.part) : ORDER.length);
  const sorted = parts.toSorted((a, b) => place(a) - place(b));
  return (
    <>
      {sorted.map((part) => (
        <Part key={`${part.attempt} ${part.part}`} part={part} />
      ))}
    </>
  );
}

function Part({ part }: { part: ContextPart }) {
  const rows = flatten(parseObject(part.contentJson));
  // Long texts, a diff above all, keep their lines.
  const long = [...rows].filter(([, data]) => isLong(data));
  const short = new Map([...rows].filter(([, data]) => !isLong(data)));
  return (
    <section>
      <h2>{part.part}</h2>
      {short.size > 0 && <KeyValues rows={short} search={part.part} />}
      {long.map(([key, data]) => (
        <details key={key} open={part.part === "diff"}>
          <summary>{key}</summary>
          <pre class="text">{String(data)}</pre>
        </details>
      ))}
    </section>
  );
}

function isLong(data: unknown): boolean {
  return typeof data === "string" && (data.length > LONG || data.includes("\n"));
}
