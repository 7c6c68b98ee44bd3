"""The service of Stepline: points come in over gRPC, lie in ClickHouse, and are asked for again.

The way of a batch
    push        the stream: Hello, Welcome, batches, acks
    session     one stream after its Hello: order, window, decoding
    writers     who speaks for a writer, and how far it is stored
    commit      many batches, one INSERT; linger says when, persistence repeats it until it is known
    points_repository   marks, names, rejections

Runs
    runs        what a start, a resume and an end mean
    run_record, run_request, runs_repository, run_tables

Around it
    query       reading: metrics, history, charts, SQL
    store       the engine, embedded or a server; schema holds its tables
    http, sql_http, grpc_port   the three ports
    main, config, server        `stepline serve`
    access, tls                 keys, what each call needs, certificates
    limits, errors              what may be sent, and what is answered
"""

import os

# Read when grpc is loaded. Its core writes a line of its own for every handshake that a stranger
# fails, which is not what the log of a service is for.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
