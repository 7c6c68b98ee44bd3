/** All projects, the liveliest first. */
import { useEffect } from "preact/hooks";
import { useResource } from "../api/resource";
import { catalogue } from "../api/transport";
import { ago, count } from "../lib/format";
import { now } from "../state/clock";
import { Link } from "../ui/Link";
import { Name } from "../ui/Name";
import { Failure, Notice } from "../ui/Notice";

const REFRESH_MS = 10_000;

export function ProjectsPage() {
  useEffect(() => {
    document.title = "Stepline";
  }, []);
  const found = useResource("projects", (abort) => catalogue.listProjects({}, { signal: abort }), {
    refresh: REFRESH_MS,
  });
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
  if (!found.data) return <div class="loading" />;
  const { projects } = found.data;
  if (!projects.length) return <Welcome />;
  return (
    <div class="page narrow">
      <h1>Projects</h1>
      <ul class="projects">
        {projects.map((project) => (
          <li key={project.name}>
            <Link path={["p", project.name]}>
              <Name text={project.name || "(no name)"} />
              <span class="dim">{count(project.runs)} runs</span>
              {project.running > 0n ? (
                <span class="state running">
                  <i aria-hidden="true" />
                  {count(project.running)} running
                </span>
              ) : (
                <span />
              )}
              <time class="dim">{ago(Number(project.updatedMs), now.value)}</time>
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Welcome() {
  return (
    <Notice title="No runs yet">
      <p>A run shows up here as soon as it begins:</p>
      <pre>
        {`import stepline

run = stepline.init(project="hello")
for step in range(1000):
    run.log({"loss": 1 / (1 + step)})
run.finish()`}
      </pre>
      <p>
        Or let <code>stepline demo</code> train something.
      </p>
    </Notice>
  );
}
