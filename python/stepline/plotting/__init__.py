"""Drawing charts: `terminal` with plotext, `figure` with matplotlib."""
