/** The runs that a view lists, kept up to date. */
import { useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { epoch } from "../../api/connection";
import { secret } from "../../api/login";
import type { RunQuery } from "../../state/run";
import { RunPages } from "./pages";

const REFRESH_MS = 4000;

export function useRunPages(query: RunQuery): RunPages {
  const latest = useRef<RunPages | undefined>(undefined);
  const pages = useMemo(() => {
    const before = latest.current;
    latest.current = new RunPages(query, before?.lists(query) ? before.latest() : undefined);
    return latest.current;
  }, [JSON.stringify(query)]);
  useLayoutEffect(() => {
    pages.want(0, 1);
    return () => pages.close();
  }, [pages]);
  useSignalEffect(() => {
    void secret.value;
    if (epoch.value) pages.renew();
  });
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) pages.renew();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [pages]);
  return pages;
}
