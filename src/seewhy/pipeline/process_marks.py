"""What a library that takes a process over for a while leaves behind in it, put back."""

from __future__ import annotations

import faulthandler
import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

HANDLED = (signal.SIGINT, signal.SIGTERM)
STANDARD_ERROR = 2


@contextmanager
def environment_kept() -> Iterator[None]:
    """Put back every environment variable, and Python's fault handler."""
    before, handling = dict(os.environ), faulthandler.is_enabled()
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
        if not handling:
            faulthandler.disable()


@contextmanager
def signals_kept() -> Iterator[None]:
    """Put back who hears of Ctrl-C and termination; only the main thread can change it."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in HANDLED} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # installed by code of another language: Python cannot put it back
                signal.signal(number, handler)


@contextmanager
def standard_error_without(unwanted: re.Pattern[bytes]) -> Iterator[None]:
    """Hold back what is written to standard error, by code of any language; lines without a match come at the end."""
    try:
        shown = os.dup(STANDARD_ERROR)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        try:
            sys.stderr.flush()
            os.dup2(held.fileno(), STANDARD_ERROR)
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, STANDARD_ERROR)
            os.close(shown)
            held.seek(0)
            for line in held:
                if not unwanted.search(line):
                    os.write(STANDARD_ERROR, line)


@contextmanager
def loggers_quiet(names: Sequence[str]) -> Iterator[None]:
    """Let loggers, and their handlers, pass on errors only; all of it is put back."""
    loggers = [logging.getLogger(name) for name in names]
    before = [(one, one.level, one.propagate, list(one.handlers)) for one in loggers]
    levels = [(handler, handler.level) for one in loggers for handler in one.handlers]
    for one in loggers:
        one.setLevel(max(one.level, logging.ERROR))
    for handler, level in levels:
        handler.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        for one, level, propagate, handlers in before:
            one.setLevel(level)
            one.propagate = propagate
            one.handlers[:] = handlers
        for handler, level in levels:
            handler.setLevel(level)
