"""A command run inside another program leaves that program's loggers speaking."""

from __future__ import annotations

import logging
import logging.config

import pytest

from seewhy.cli.generate import hydra_environment


@pytest.mark.parametrize("silent_before", [False, True])
def test_loggers_speak_again_after_a_configuration_that_silences_them(silent_before: bool) -> None:
    logger = logging.getLogger("a library of the user's")
    logger.disabled = silent_before
    with hydra_environment(None, ["generate_artifacts"]):
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
        assert logger.disabled
    assert logger.disabled is silent_before
    logger.disabled = False
