"""`stepline demo`. `train` is the example to read: a training script that logs to Stepline."""
