/** The runs of a project. */
import { useEffect } from "preact/hooks";
import { useResource } from "../../api/resource";
import { catalogue } from "../../api/transport";
import { count } from "../../lib/format";
import { address, change, param } from "../../state/address";
import { runsCommand } from "../../state/command";
import { useShortcuts } from "../../state/keys";
import type { RunQuery } from "../../state/run";
import { choose, chosen } from "../../state/selection";
import { Copy } from "../../ui/Copy";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/Link";
import { Menu } from "../../ui/Menu";
import { Failure, Notice } from "../../ui/Notice";
import { ProjectTabs } from "../../ui/ProjectTabs";
import { focusSearch } from "../../ui/Search";
import { ColumnMenu } from "./ColumnMenu";
import { columnsOf, defaultColumns, valueKeys } from "./columns";
import { FILTER, FilterField } from "./FilterField";
import { GroupTable } from "./GroupTable";
import { RunTable } from "./RunTable";
import { useRunPages } from "./useRunPages";

const KNOWN_KEYS = 200;

export function RunsPage({ project }: { project: string }) {
  useEffect(() => {
    document.title = `${project} · Stepline`;
  }, [project]);
  const keys = useResource(project ? `keys ${project}` : "", (abort) =>
    catalogue.listRunKeys({ project, limit: KNOWN_KEYS }, { signal: abort }),
  );
  const asked = param("cols");
  const columns = columnsOf(asked ? asked.split(",").filter(Boolean) : defaultColumns(keys.data?.keys ?? []));
  const query: RunQuery = {
    project,
    filter: param("q"),
    sort: param("sort").split(",").filter(Boolean),
    columns: valueKeys(columns),
  };
  useShortcuts([
    { keys: "/", what: "Filter runs", run: () => focusSearch(FILTER) },
    { keys: "x", what: "Select nothing", run: () => choose([]) },
  ]);
  return (
    <div class="page full">
      <ProjectTabs project={project} />
      <Table query={query} columns={columns} />
    </div>
  );
}

function Table({ query, columns }: { query: RunQuery; columns: ReturnType<typeof columnsOf> }) {
  const pages = useRunPages(query);
  const groupBy = param("group").split(",").filter(Boolean);
  const problem = pages.problem.value;
  const total = pages.total.value;
  return (
    <>
      <div class="toolbar">
        <FilterField problem={problem} />
        <GroupMenu groupBy={groupBy} />
        <ColumnMenu project={query.project} shown={columns.map((column) => column.key)} />
        <Menu label={<Icon name="download" size={14} />} title="Share this list">
          {(close) => (
            <>
              <Copy name="Copy the link" text={() => location.href} onDone={close} />
              <Copy name="Copy the command" text={() => runsCommand(query, groupBy)} onDone={close} />
            </>
          )}
        </Menu>
        <Selected project={query.project} />
        <span class="dim count">
          {total !== undefined && `${count(total)} ${total === 1 ? "run" : "runs"}`}
        </span>
      </div>
      <Body {...{ pages, query, groupBy, columns }} />
    </>
  );
}

interface BodyProps {
  pages: ReturnType<typeof useRunPages>;
  query: RunQuery;
  groupBy: string[];
  columns: ReturnType<typeof columnsOf>;
}

function Body({ pages, query, groupBy, columns }: BodyProps) {
  const problem = pages.problem.value;
  if (problem && problem.kind !== "invalid") return <Failure problem={problem} again={() => pages.renew()} />;
  if (problem && !query.filter) return <Failure problem={problem} />;
  if (problem) return <Notice title="This filter cannot be read">{problem.message}</Notice>;
  if (pages.total.value === 0) {
    return query.filter ? (
      <Notice title="No run meets the filter" />
    ) : (
      <Notice title="No runs here">
        The project is empty, or its runs were deleted. <Link path={[]}>All projects</Link>
      </Notice>
    );
  }
  if (groupBy.length) return <GroupTable query={query} groupBy={groupBy} columns={columns} />;
  return <RunTable pages={pages} columns={columns} />;
}

function Selected({ project }: { project: string }) {
  const ids = chosen.value;
  if (!ids.length) return null;
  const { query } = address.value;
  const kept = { q: query.q, sort: query.sort, cols: query.cols, sel: query.sel };
  return (
    <span class="selected">
      <b>{ids.length} selected</b>
      <Link path={["p", project, "charts"]} query={kept} class="button">
        Charts
      </Link>
      <Link path={["p", project, "compare"]} query={kept} class="button">
        Compare
      </Link>
      <button type="button" class="quiet" onClick={() => choose([])}>
        None
      </button>
    </span>
  );
}

function GroupMenu({ groupBy }: { groupBy: string[] }) {
  const set = (text: string) => change({ group: text.trim() });
  return (
    <Menu
      label={<>Group{groupBy.length > 0 && `: ${groupBy.join(", ")}`}</>}
      title="Group runs by what they have in common"
    >
      {(close) => (
        <div class="form">
          <label>
            Group by
            <input
              type="text"
              value={groupBy.join(",")}
              placeholder="config.lr, tags …"
              spellcheck={false}
              autofocus
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                set(event.currentTarget.value);
                close();
              }}
            />
          </label>
          {["", "group", "job_type", "tags", "state"].map((key) => (
            <button
              type="button"
              class="menu-item"
              key={key}
              onClick={() => {
                set(key);
                close();
              }}
            >
              {key || "not at all"}
            </button>
          ))}
        </div>
      )}
    </Menu>
  );
}
