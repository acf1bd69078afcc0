"""Loops: plans a run over a data set and carries it out, one forward per batch for everything asked."""
