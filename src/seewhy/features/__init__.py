"""Looks inside: what layers put out, by channel, over records and time; and how much two layers agree."""
