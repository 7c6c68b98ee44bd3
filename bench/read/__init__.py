"""`make bench-read`: how long reading takes, end to end, against the bare engine and against what
other trackers need to read the same points.

- `stores`: a store with series of 1 M, 10 M and 100 M steps, and what else is read.
- `floors`: the bare queries of the engine, in a process of its own.
- `cases`: the same questions through a real service and the client.
- `ingest`: writes to the service at a given speed meanwhile.
- `peers`, `peer_child`: the same points through TensorBoard, MLflow, trackio and Aim.
- `report`: the table and the picture.
"""
