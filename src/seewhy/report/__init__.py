"""What people look at: offline pages over the artifacts of a run, and the dashboard. Knows no torch."""
