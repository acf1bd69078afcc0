"""Wires: the commands. The composition root; nothing imports it."""
