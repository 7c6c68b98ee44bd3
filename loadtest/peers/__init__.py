"""The same work through other experiment trackers and through Stepline: `python -m loadtest.peers`.

Each tracker lives in a virtual environment of its own and is driven by one small file of
`adapters/`; `child.py` runs that file in a fresh process, `supervise.py` watches the process and
all that it starts. Linux only: processor time and memory of a process tree come from /proc.
"""
