"""A method tried before a run, so that what cannot work is told before any record is read."""

from __future__ import annotations

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ConfigError, LayerError, SeewhyError


def why_no_method(adapter: Adapter, asked: Asked, *, layer_named: bool) -> str:
    """Why a method cannot explain this model, in words; empty where nothing speaks against it yet.

    A method with settings of the user's is asked about one record, since only that shows whether they can be.

    Raises ``ConfigError`` for settings that cannot be, and ``LayerError`` for a layer that the user named.
    """
    one = {name: tensor[:1] for name, tensor in adapter.example.items()}
    probe = Probe(adapter, [Logit((0,))])
    try:
        asked.layers_of(probe)
        if asked.method.needs_attention:
            asked.attention(probe)
        if asked.settings:
            asked(probe, one)
    except (ConfigError, LayerError) as error:
        if isinstance(error, ConfigError) or layer_named:
            raise
        return error.message
    except SeewhyError as error:
        return error.message
    return ""
