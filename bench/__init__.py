"""The benchmarks behind the README's figures. `make bench` runs them all; `python -m bench.NAME`
runs one."""
