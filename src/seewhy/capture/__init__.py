"""Asks models: one forward, partial backwards, attention; the model is given back untouched."""
