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
    level, handlers = logging.root.level, list(logging.root.handlers)
    silence = {"version": 1, "disable_existing_loggers": True, "root": {"level": "ERROR", "handlers": []}}
    with hydra_environment(None, ["generate_artifacts"]):
        logging.config.dictConfig(silence)
        assert logger.disabled
        assert logging.root.level == logging.ERROR
    assert logger.disabled is silent_before
    assert (logging.root.level, logging.root.handlers) == (level, handlers)
    logger.disabled = False
