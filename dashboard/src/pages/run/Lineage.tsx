/** How a run came to be what it shows: its starts, and the runs that it was forked from. */
import { useResource } from "../../api/resource";
import { runs } from "../../api/transport";
import type { Attempt, Missing, Segment } from "../../gen/stepline/v1/runs_pb";
import { count, duration, instant } from "../../lib/format";
import { now } from "../../state/clock";
import { Link } from "../../ui/Link";
import { Failure } from "../../ui/Notice";
import { State } from "../../ui/State";

const REFRESH_MS = 5000;

export function Lineage({ id, alive }: { id: string; alive: boolean }) {
  const found = useResource(`lineage ${id}`, (abort) => runs.getLineage({ runId: id }, { signal: abort }), {
    refresh: alive ? REFRESH_MS : 0,
  });
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
  if (!found.data) return null;
  const { attempts, segments, missing } = found.data;
  return (
    <section class="wide">
      {missing.length > 0 && <Incomplete missing={missing} />}
      <h2>Attempts</h2>
      <Bar segments={segments} id={id} />
      <div class="metric-scroll">
        <table class="metric-table attempts">
          <thead>
            <tr>
              {["attempt", "state", "began", "went on for", "ranks", "host", "why it ended"].map((name) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {attempts.map((attempt) => (
              <Row key={attempt.attempt} attempt={attempt} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Incomplete({ missing }: { missing: readonly Missing[] }) {
  return (
    <>
      <h2 id="incomplete">Incomplete data</h2>
      <ul class="incomplete">
        {missing.map((one, index) => (
          <li key={index}>
            <b class="bad">{count(one.count)}</b> of rank {one.rank}, attempt {one.attempt}, were logged and
            never stored: <bdi>{one.reason}</bdi> <time class="dim">({instant(Number(one.timeMs))})</time>
          </li>
        ))}
      </ul>
    </>
  );
}

function Row({ attempt }: { attempt: Attempt }) {
  const began = Number(attempt.createdMs);
  const ran = attempt.endedMs === undefined ? now.value - began : Number(attempt.ranMs);
  return (
    <tr>
      <th scope="row">{attempt.attempt}</th>
      <td>
        <State state={attempt.state} />
      </td>
      <td>{instant(began)}</td>
      <td>{duration(ran)}</td>
      <td>{attempt.worldSize}</td>
      <td>
        <bdi>{attempt.host}</bdi>
      </td>
      <td>
        <bdi title={why(attempt)}>{why(attempt)}</bdi>
      </td>
    </tr>
  );
}

function why({ errorType, errorMessage, exitCode }: Attempt): string {
  if (errorType) return `${errorType}: ${errorMessage}`;
  return exitCode ? `exit code ${exitCode}` : "";
}

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** Which steps are read from where. */
function Bar({ segments, id }: { segments: readonly Segment[]; id: string }) {
  if (!segments.length) return null;
  return (
    <ol class="lineage">
      {segments.map((segment, index) => {
        const range = stepsOf(segment);
        const own = segment.runId === id;
        const name = own ? `attempt ${segment.attempt}` : `${segment.runId}, attempt ${segment.attempt}`;
        return (
          <li key={index} class={own ? "" : "other"} title={`${name}: ${range}`}>
            {own ? <b>{name}</b> : <Link path={["r", segment.runId]}>{name}</Link>}
            <span class="dim">{range}</span>
          </li>
        );
      })}
    </ol>
  );
}

function stepsOf({ firstStep, lastStep }: Segment): string {
  if (firstStep === LEAST) return lastStep === MOST ? "all steps" : `up to step ${count(lastStep)}`;
  return lastStep === MOST
    ? `from step ${count(firstStep)} on`
    : `steps ${count(firstStep)} to ${count(lastStep)}`;
}
