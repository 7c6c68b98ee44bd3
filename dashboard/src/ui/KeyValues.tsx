/** Keys and values, with a search where there are many. */
import { useState } from "preact/hooks";
import { json } from "../lib/format";

const FEW = 12;
const MOST = 1000;

interface Props {
  rows: ReadonlyMap<string, unknown>;
  /** What is searched; no search without. */
  search?: string;
  empty?: string;
}

export function KeyValues({ rows, search = "", empty = "" }: Props) {
  const [wanted, setWanted] = useState("");
  if (!rows.size) return <p class="dim">{empty}</p>;
  const found = [...rows].filter(([key]) => key.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <>
      {search && rows.size > FEW && (
        <input
          type="search"
          class="small-search"
          placeholder={`Search ${search}`}
          aria-label={`Search ${search}`}
          spellcheck={false}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      )}
      <dl class="values">
        {found.slice(0, MOST).map(([key, data]) => (
          <div key={key}>
            <dt>
              <bdi title={key}>{key}</bdi>
            </dt>
            <dd>
              <bdi title={json(data)}>{json(data)}</bdi>
            </dd>
          </div>
        ))}
      </dl>
      {found.length > MOST && <p class="dim">and {found.length - MOST} more: search for them</p>}
    </>
  );
}
