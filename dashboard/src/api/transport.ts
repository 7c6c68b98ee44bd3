/** Calls of the service's own address, with the person's key where there is one. */
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Capture } from "../gen/stepline/v1/capture_pb";
import { Catalogue } from "../gen/stepline/v1/catalogue_pb";
import { Live } from "../gen/stepline/v1/live_pb";
import { Query } from "../gen/stepline/v1/query_pb";
import { Runs } from "../gen/stepline/v1/runs_pb";
import { secret } from "./login";

const withKey: Interceptor = (next) => (request) => {
  const key = secret.peek();
  if (key) request.header.set("Authorization", `Bearer ${key}`);
  return next(request);
};

const transport = createConnectTransport({
  baseUrl: window.location.origin,
  useBinaryFormat: true,
  // What has no side effects goes as GET, so that the browser can revalidate what it has.
  useHttpGet: true,
  interceptors: [withKey],
});

export const runs = createClient(Runs, transport);
export const query = createClient(Query, transport);
export const catalogue = createClient(Catalogue, transport);
export const capture = createClient(Capture, transport);
export const live = createClient(Live, transport);
