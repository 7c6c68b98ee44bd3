/** The views of a project. What is selected and filtered goes along. */
import { address, go } from "../state/address";
import { useShortcuts } from "../state/keys";
import { Link } from "./Link";

const TABS = [
  ["", "Runs", "g r"],
  ["charts", "Charts", "g c"],
  ["compare", "Compare", "g m"],
  ["system", "System", "g s"],
] as const;
const SHARED = ["q", "sort", "sel", "cols"];

export function ProjectTabs({ project }: { project: string }) {
  const { path, query } = address.value;
  const kept = Object.fromEntries(SHARED.map((key) => [key, query[key]]));
  const pathOf = (tab: string) => ["p", project, ...(tab ? [tab] : [])];
  useShortcuts(
    TABS.map(([tab, name, keys]) => ({ keys, what: `Go to ${name}`, run: () => go(pathOf(tab), kept) })),
  );
  return (
    <nav class="tabs" aria-label="Views of the project">
      {TABS.map(([tab, name]) => (
        <Link key={tab} path={pathOf(tab)} query={kept} current={(path[2] ?? "") === tab}>
          {name}
        </Link>
      ))}
    </nav>
  );
}
