"""Answers: attribution methods as pure functions of what a capture holds."""
