"""Presets: the packaged Hydra groups that `generate_artifacts` composes."""
