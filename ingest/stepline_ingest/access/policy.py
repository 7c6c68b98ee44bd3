"""Which scope each call needs. What is not listed here is open to nobody."""

from __future__ import annotations

from stepline_ingest.access.key import Scope

PUBLIC = None
"""Asks for no key: probes and load balancers have none."""

METHODS: dict[str, Scope | None] = {
    "/stepline.v1.Ingest/Push": Scope.INGEST,
    "/stepline.v1.Runs/CreateRun": Scope.INGEST,
    "/stepline.v1.Runs/UpdateRun": Scope.INGEST,
    "/stepline.v1.Runs/FinishRun": Scope.INGEST,
    "/stepline.v1.Runs/DeleteRun": Scope.INGEST,
    "/stepline.v1.Runs/Heartbeat": Scope.INGEST,
    "/stepline.v1.Runs/BringBack": Scope.INGEST,
    "/stepline.v1.Runs/GetLineage": Scope.READ,
    "/stepline.v1.Runs/GetRun": Scope.READ,
    "/stepline.v1.Runs/ListRuns": Scope.READ,
    "/stepline.v1.Catalogue/ListProjects": Scope.READ,
    "/stepline.v1.Catalogue/ListRunKeys": Scope.READ,
    "/stepline.v1.Catalogue/ListConfigChanges": Scope.READ,
    "/stepline.v1.Capture/PutContext": Scope.INGEST,
    "/stepline.v1.Capture/AppendConsole": Scope.INGEST,
    "/stepline.v1.Capture/GetContext": Scope.READ,
    "/stepline.v1.Capture/ReadConsole": Scope.READ,
    "/stepline.v1.Query/ListMetrics": Scope.READ,
    "/stepline.v1.Query/History": Scope.READ,
    "/stepline.v1.Query/Chart": Scope.READ,
    "/stepline.v1.Query/Sql": Scope.READ,
    "/stepline.v1.Query/Export": Scope.READ,
    "/stepline.v1.Live/Watch": Scope.READ,
    "/stepline.v1.Admin/Backup": Scope.ADMIN,
    "/stepline.v1.Admin/ListMonths": Scope.ADMIN,
    "/stepline.v1.Audit/ListWriters": Scope.READ,
    "/stepline.v1.Audit/WriterDigests": Scope.READ,
    "/stepline.v1.Audit/Doctor": Scope.ADMIN,
    "/stepline.v1.Keys/CreateKey": Scope.ADMIN,
    "/stepline.v1.Keys/ListKeys": Scope.ADMIN,
    "/stepline.v1.Keys/RevokeKey": Scope.ADMIN,
    "/grpc.health.v1.Health/Check": PUBLIC,
    "/grpc.health.v1.Health/Watch": PUBLIC,
}
"""By the full name of a gRPC method."""

PATHS: dict[str, Scope | None] = {
    "/health": PUBLIC,
    "/healthz": PUBLIC,
    "/readyz": PUBLIC,
    "/metrics": Scope.READ,
}
"""Of the HTTP port. Every other path is a file of the page, which carries no data, or a call of the
gateway, which METHODS judges: see OTHER_PATHS."""

OTHER_PATHS = PUBLIC

SQL_PATHS: dict[str, Scope | None] = {"/ping": PUBLIC}
"""Of the SQL port. Every other path needs a key with the scope read: OTHER_SQL_PATHS."""

OTHER_SQL_PATHS = Scope.READ
