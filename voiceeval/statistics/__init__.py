"""Pure functions of arrays: they know cells, clusters and counts, and neither calls, cohorts nor verdicts."""
