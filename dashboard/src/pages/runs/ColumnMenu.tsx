/** Which columns the table has: found by a part of their name. */
import { useState } from "preact/hooks";
import { useResource } from "../../api/resource";
import { catalogue } from "../../api/transport";
import { count } from "../../lib/format";
import { change } from "../../state/address";
import { Icon } from "../../ui/icons";
import { Menu } from "../../ui/Menu";
import { FIXED } from "./columns";

const MOST = 100;

export function ColumnMenu({ project, shown }: { project: string; shown: readonly string[] }) {
  return (
    <Menu
      label={
        <>
          <Icon name="columns" size={14} /> Columns
        </>
      }
      title="Choose columns"
    >
      {() => <Chooser project={project} shown={shown} />}
    </Menu>
  );
}

function Chooser({ project, shown }: { project: string; shown: readonly string[] }) {
  const [search, setSearch] = useState("");
  const found = useResource(JSON.stringify([project, search]), (abort) =>
    catalogue.listRunKeys({ project, search, limit: MOST }, { signal: abort }),
  );
  const set = (keys: string[]) => change({ cols: keys.join(",") });
  const flip = (key: string) =>
    set(shown.includes(key) ? shown.filter((other) => other !== key) : [...shown, key]);
  const fixed = FIXED.filter((key) => key.includes(search.toLowerCase()));
  const keys = found.data?.keys ?? [];
  const rest = Number(found.data?.total ?? 0) - keys.length;
  return (
    <div class="chooser">
      <input
        type="search"
        placeholder="config, summary, metric …"
        aria-label="Search columns"
        spellcheck={false}
        autofocus
        onInput={(event) => setSearch(event.currentTarget.value.trim())}
      />
      <div class="chooser-list">
        {fixed.map((key) => (
          <Entry key={key} name={key.replace("_", " ")} on={shown.includes(key)} onChange={() => flip(key)} />
        ))}
        {keys.map((key) => (
          <Entry
            key={key.key}
            name={key.key}
            note={count(key.runs)}
            on={shown.includes(key.key)}
            onChange={() => flip(key.key)}
          />
        ))}
        {rest > 0 && <p class="dim">and {count(rest)} more: search for them</p>}
        {!fixed.length && !keys.length && !found.loading && <p class="dim">No run has such a key</p>}
      </div>
      <button type="button" onClick={() => change({ cols: undefined })}>
        As at the beginning
      </button>
    </div>
  );
}

function Entry({
  name,
  note = "",
  on,
  onChange,
}: {
  name: string;
  note?: string;
  on: boolean;
  onChange: () => void;
}) {
  return (
    <label class="check">
      <input type="checkbox" checked={on} onChange={onChange} />
      <bdi title={name}>{name}</bdi>
      <span class="dim">{note}</span>
    </label>
  );
}
