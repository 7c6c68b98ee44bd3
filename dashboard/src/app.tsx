/** From an address to its page. */

import { ChartsPage } from "./pages/ChartsPage";
import { ComparePage } from "./pages/ComparePage";
import { ProjectsPage } from "./pages/ProjectsPage";
import { RunPage } from "./pages/run/RunPage";
import { RunsPage } from "./pages/runs/RunsPage";
import { SystemPage } from "./pages/SystemPage";
import { address } from "./state/address";
import { Help } from "./ui/Help";
import { Notice } from "./ui/Notice";
import { Shell } from "./ui/Shell";

export function App() {
  return (
    <Shell>
      <Page />
      <Help />
    </Shell>
  );
}

function Page() {
  const [kind, name, tab = ""] = address.value.path;
  if (kind === undefined) return <ProjectsPage />;
  if (kind === "p" && name !== undefined) {
    if (tab === "") return <RunsPage key={name} project={name} />;
    if (tab === "charts") return <ChartsPage key={name} project={name} />;
    if (tab === "compare") return <ComparePage key={name} project={name} />;
    if (tab === "system") return <SystemPage key={name} project={name} />;
  }
  if (kind === "r" && name !== undefined) return <RunPage key={name} id={name} tab={tab} />;
  return (
    <Notice title="There is no such page">
      The address may be mistyped; the projects are one click on the name at the top away.
    </Notice>
  );
}
